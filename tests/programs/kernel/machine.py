# SPDX-License-Identifier: MIT
"""A virtual machine with Debian's kernel and the fleet's base tree, emulated: it needs no KVM, and takes minutes."""

from __future__ import annotations

import os
import stat
import subprocess
import typing as t
from pathlib import Path

from fleet import cache, tree

if t.TYPE_CHECKING:
    from collections.abc import Iterator

KERNEL = "linux-image-cloud-amd64"
TOOLS = ("kmod", "libkmod2")
MODULES = ("crypto", "lib", "net", "arch/x86/crypto", "drivers/net")
# What no test here needs, and what would make the machine's memory larger.
LEFT_OUT = ("usr/share", "var", "boot", "usr/lib/python3.11/test", "usr/lib/udev", "usr/lib/systemd", "dev")
INIT = """#!/bin/bash
export PATH=/usr/sbin:/usr/bin HOME=/root
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs run /run
ip link set lo up
python3 -S /guest.py 2>&1
echo o > /proc/sysrq-trigger
sleep 10
"""
SECONDS = 900.0
MEMORY = "1200"  # MiB
# Without the features by which Linux and glibc copy and clear byte by byte, which is slow where each byte is emulated.
CPU = "max,-erms,-fsrm"


def run(guest: Path, files: dict[str, bytes], work: Path) -> str:
    """All that the machine's console says, while it runs this script with these files in its root."""
    kernel, packages = _debian()
    initrd = work / "initrd"
    extra = {"init": INIT.encode(), "guest.py": guest.read_bytes(), **files}
    with initrd.open("wb") as sink:
        for part in archive([tree.ensure(print), packages], extra):
            sink.write(part)
    command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", CPU, "-m", MEMORY, "-nographic"]
    command += ["-no-reboot", "-kernel", str(kernel), "-initrd", str(initrd)]
    command += ["-append", "console=ttyS0 quiet panic=-1 rdinit=/init"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=True)
    return done.stdout.decode(errors="replace")


def _debian() -> tuple[Path, Path]:
    """The kernel, and a tree with its modules and what loads them."""
    said = subprocess.run(["apt-cache", "depends", KERNEL], capture_output=True, text=True, check=True).stdout
    image = next(line.split()[-1] for line in said.splitlines() if "Depends: linux-image" in line)
    place = cache.entry(image, lambda partial: _unpack(image, partial))
    return next((place / "tree" / "boot").glob("vmlinuz-*")), place / "modules"


def _unpack(image: str, place: Path) -> None:
    for name in (image, *TOOLS):
        subprocess.run(
            ["apt-get", "--quiet", "download", name], cwd=place, check=True, capture_output=True, timeout=300
        )
    for package in place.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", str(package), str(place / "tree")], check=True)
        package.unlink()
    release = next((place / "tree" / "lib" / "modules").iterdir())
    modules = place / "modules" / "usr" / "lib" / "modules" / release.name
    for part in MODULES:
        (modules / "kernel" / part).parent.mkdir(parents=True, exist_ok=True)
        (release / "kernel" / part).rename(modules / "kernel" / part)
    for path in release.glob("modules.*"):
        path.rename(modules / path.name)
    # Where a whole Debian has them, whose /sbin and /lib are links.
    for source, target in (
        ("bin/*", "usr/bin"),
        ("sbin/*", "usr/sbin"),
        ("**/libkmod.so*", "usr/lib/x86_64-linux-gnu"),
    ):
        for path in list((place / "tree").glob(source)):
            (place / "modules" / target).mkdir(parents=True, exist_ok=True)
            path.rename(place / "modules" / target / path.name)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(place / "modules/usr/lib/x86_64-linux-gnu")}
    (place / "modules" / "lib").symlink_to("usr/lib")  # where depmod looks
    command = ["depmod", "-b", str(place / "modules"), release.name]
    subprocess.run(command, executable=place / "modules" / "usr" / "bin" / "kmod", env=environment, check=True)
    (place / "modules" / "lib").unlink()


def archive(trees: list[Path], extra: dict[str, bytes]) -> Iterator[bytes]:
    """The trees in the format newc of cpio, which the kernel unpacks."""
    number = 0
    seen: set[str] = set()

    def member(name: str, mode: int, data: bytes = b"") -> bytes:
        nonlocal number
        number += 1
        encoded = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 5, 1, len(encoded), 0)
        head = b"070701" + "".join(f"{field:08X}" for field in fields).encode() + encoded
        return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)

    for top in trees:
        for path in _paths(top):
            name = str(path.relative_to(top))
            status = path.lstat()
            if name in seen:
                continue
            seen.add(name)
            if stat.S_ISLNK(status.st_mode):
                yield member(name, status.st_mode, os.readlink(path).encode())
            elif stat.S_ISREG(status.st_mode):
                yield member(name, status.st_mode, path.read_bytes())
            elif stat.S_ISDIR(status.st_mode):
                yield member(name, status.st_mode)
    for directory in ("dev", "proc", "sys", "run", "tmp", "var"):
        if directory not in seen:
            yield member(directory, stat.S_IFDIR | 0o755)
    yield member("dev/console", stat.S_IFCHR | 0o600)
    for name, data in extra.items():
        yield member(name, stat.S_IFREG | 0o755, data)
    yield member("TRAILER!!!", 0)


def _paths(top: Path, inside: str = "") -> Iterator[Path]:
    """What is below, directories before what is in them."""
    for path in sorted((top / inside).iterdir()):
        name = str(path.relative_to(top))
        if name in LEFT_OUT or path.name == "__pycache__":
            continue
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _paths(top, name)
