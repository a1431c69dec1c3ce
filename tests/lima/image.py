# SPDX-License-Identifier: MIT
"""What Lima needs where there is neither KVM nor the internet: a Debian guest with cloud-init, and limactl itself.

Both are made as root, once, and kept in the cache. The guest is a file system without a partition table; the kernel and
a tiny initrd lie beside it, so that no boot loader is needed.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import platform
import shutil
import subprocess
import typing as t
from pathlib import Path

import yaml

from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs
from fleet import FleetError, cache, tree
from fleet.shell import follow, run
from tests.programs.kernel.machine import CPU, archive

if t.TYPE_CHECKING:
    from collections.abc import Callable

    Progress = Callable[[str], None]

HERE = Path(__file__).parent
MODULE = "github.com/lima-vm/lima/v2"
LIMACTL = _programs.Program(
    "limactl",
    "2.2.0",
    HERE / "limactl",
    {"limactl": f"{MODULE}/cmd/limactl"},
    f"-X {MODULE}/pkg/version.Version=2.2.0",
)
ARCH = "amd64"
SUITE = tree.SUITE
PACKAGES = (
    "systemd-sysv,systemd-resolved,dbus,udev,kmod,busybox-static,openssh-server,sudo,python3,iproute2,iputils-ping,procps,"
    "ca-certificates,curl,nftables,netbase,cloud-init,netplan.io,cloud-guest-utils,linux-image-cloud-amd64"
)
PATIENCE = 1800.0  # seconds for mmdebstrap on a slow line
SIZE = "3G"  # of the file system, which is sparse
# Nothing at boot but what tests need: the guest's time is dear, and it has no internet.
MASKED = [
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "systemd-networkd-wait-online.service",
    "systemd-binfmt.service",
    "systemd-pstore.service",
    "getty@tty1.service",
    "serial-getty@ttyS0.service",
    "systemd-update-utmp.service",
    "systemd-timesyncd.service",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
]
FILES = {
    "etc/hostname": "",
    "etc/machine-id": "",
    "etc/fstab": "/dev/vda / ext4 defaults,noatime 0 0\n",
    "etc/apt/sources.list": "",
    "etc/ca-certificates.conf": "",  # of the web's authorities it needs none, and they would be read at each change
    "etc/ssh/sshd_config.d/guest.conf": "UseDNS no\n",
    # A short list: what a slim Debian lacks would fail, and the boot with it.
    "etc/cloud/cloud.cfg.d/90_guest.cfg": """\
datasource_list: [NoCloud]
locale: false
ssh_genkeytypes: [ed25519]
no_ssh_fingerprints: true
ssh: {emit_keys_to_console: false}
cloud_init_modules: [bootcmd, write-files, growpart, resizefs, set_hostname, update_etc_hosts, users-groups, ssh]
cloud_config_modules: [runcmd]
cloud_final_modules: [scripts-per-boot, scripts-user]
""",
}
BUILD = """\
set -eu
INITRD=No mmdebstrap --mode=root --variant=apt --include="$2" --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' "$3" "$1" "$4"
rm -rf "$1"/etc/ssh/ssh_host_* "$1"/etc/apt/sources.list.d/* "$1"/etc/apt/apt.conf.d/99mmdebstrap
rm -rf "$1"/var/lib/apt/lists/* "$1"/var/log/apt "$1"/var/log/dpkg.log "$1"/var/cache/apt/*.bin
ln -sf ../run/systemd/resolve/stub-resolv.conf "$1"/etc/resolv.conf
"""
# What / and Lima's disk of settings need.
MODULES = ["virtio_pci", "virtio_blk", "virtio_net", "virtio_scsi", "sr_mod", "isofs", "virtio_rng"]
# Lima gives up on a machine that has no address two minutes after its start, and cloud-init asks for one late.
INIT = """\
#!/busybox sh
/busybox mount -t devtmpfs dev /dev; /busybox mount -t proc proc /proc; /busybox mount -t sysfs sys /sys
for module in {modules}; do /busybox insmod /$module; done
/busybox ip link set eth0 up; /busybox udhcpc -i eth0 -n -q -f -t 5 -T 1 -s /true; /busybox ip link set eth0 down
for _ in $(/busybox seq 100); do [ -b /dev/vda ] && break; /busybox sleep 0.1; done
/busybox mkdir /new
/busybox mount -t ext4 -o rw,noatime /dev/vda /new
for each in dev proc sys; do /busybox mount --move /$each /new/$each; done
exec /busybox switch_root /new /sbin/init
"""
CMDLINE = (
    "root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet loglevel=4 systemd.show_status=no mitigations=off nokaslr"
    " audit=0 apparmor=0 random.trust_cpu=on no_timer_check"
)


def ensure(progress: Progress) -> Path:
    """The guest's directory, with `disk.qcow2`, `kernel` and `initrd`; it is made when the cache has none."""
    if platform.machine() != "x86_64":
        raise FleetError(f"the guest of these tests is one for x86_64, and this machine is {platform.machine()}")
    return cache.entry(f"lima-guest-{_key()}", lambda partial: _build(partial, progress))


def program(progress: Progress) -> Path:
    """The directory that Lima is installed in: `bin/limactl` and its templates."""
    return cache.entry(f"lima-{LIMACTL.version}-{LIMACTL.key(ARCH)}", lambda partial: _install(partial, progress))


def override(guest: Path) -> str:
    """A LIMA_HOME's `override.yaml`, which counts before templates: this guest, on a machine that can only emulate."""
    image = {
        "location": str(guest / "disk.qcow2"),
        "arch": "x86_64",
        "kernel": {"location": str(guest / "kernel"), "arch": "x86_64", "cmdline": CMDLINE},
        "initrd": {"location": str(guest / "initrd"), "arch": "x86_64"},
    }
    return yaml.safe_dump(
        {
            "vmType": "qemu",
            "images": [image],
            "memory": "768MiB",
            "firmware": {"legacyBIOS": True},
            "video": {"display": "none"},
            "vmOpts": {"qemu": {"cpuType": {"x86_64": CPU}}},  # Lima's own choice, host, needs KVM
        }
    )


def _key() -> str:
    wanted = [SUITE, PACKAGES, SIZE, MASKED, FILES, BUILD, MODULES, INIT]
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:16]


def _install(place: Path, progress: Progress) -> None:
    binary = LIMACTL.build(ARCH, progress)["limactl"]
    target = place / "bin" / "limactl"
    target.parent.mkdir()
    with gzip.open(binary.archive) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink)
    target.chmod(0o755)
    command = ["go", "mod", "download", "-json", MODULE]
    said = subprocess.run(
        command, cwd=LIMACTL.directory, capture_output=True, text=True, check=True, timeout=300
    ).stdout
    templates = shutil.copytree(Path(json.loads(said)["Dir"]) / "templates", place / "share" / "lima" / "templates")
    for path in (templates, *templates.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)  # Go's own copy may not be written


def _build(place: Path, progress: Progress) -> None:
    root = place / "root"
    where = tree.debian()
    progress(f"a Debian {SUITE} guest from {where}, once, some minutes")
    script = ["sh", "-c", BUILD, "sh", str(root), PACKAGES, SUITE, where]
    follow(*script, progress=progress, timeout=PATIENCE)
    for name, text in FILES.items():
        (root / name).write_text(text, encoding="utf-8")
    for unit in MASKED:
        link = root / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    run("chroot", str(root), "update-ca-certificates", "--fresh")
    release = next((root / "lib" / "modules").iterdir()).name
    shutil.copy(root / "boot" / f"vmlinuz-{release}", place / "kernel")
    (place / "initrd").write_bytes(b"".join(archive([], _initrd(root, release))))
    for path in root.glob("boot/vmlinuz-*"):
        path.unlink()
    progress("its file system")
    raw = place / "disk.raw"
    run("truncate", "--size", SIZE, str(raw))
    run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", "-d", str(root), str(raw), timeout=300)
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(place / "disk.qcow2"), timeout=300)
    raw.unlink()
    shutil.rmtree(root)


def _initrd(root: Path, release: str) -> dict[str, bytes]:
    """Its files by name: what loads the modules, in their order, and starts the guest's own init."""
    paths: dict[str, Path] = {}
    for module in MODULES:
        said = run("chroot", str(root), "modprobe", "--set-version", release, "--show-depends", module).stdout
        for line in said.splitlines():
            if line.startswith("insmod "):
                path = Path(line.split()[1])
                paths[path.name] = root / path.relative_to("/")
    files = {name: path.read_bytes() for name, path in paths.items()}
    init = INIT.format(modules=" ".join(files))
    return {
        **files,
        "true": b"#!/busybox sh\n",
        "busybox": (root / "bin" / "busybox").read_bytes(),
        "init": init.encode(),
    }


def main() -> None:
    """Make both where they are missing, and say where they are."""

    def say(line: str) -> None:
        print(f"lima: {line}", flush=True)

    print(program(say))
    print(ensure(say))


if __name__ == "__main__":
    main()
