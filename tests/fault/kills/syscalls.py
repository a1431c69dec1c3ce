# SPDX-License-Identifier: MIT
"""Runs on a host of the fleet, with the standard library: the system calls that change something, and what they mean.

Of a process that the kernel holds before such a call, /proc tells who it is, and its memory the paths.
"""

from __future__ import annotations

import os
import re
import struct
import typing as t

# Of x86-64: the number of each call, and which of its arguments is a path, or a descriptor.
CALLS = {
    1: ("write", "descriptor", 0),
    18: ("pwrite64", "descriptor", 0),
    20: ("writev", "descriptor", 0),
    40: ("sendfile", "descriptor", 0),
    44: ("sendto", "descriptor", 0),
    59: ("execve", "path", 0),
    74: ("fsync", "descriptor", 0),
    75: ("fdatasync", "descriptor", 0),
    76: ("truncate", "path", 0),
    77: ("ftruncate", "descriptor", 0),
    82: ("rename", "path", 1),
    83: ("mkdir", "path", 0),
    84: ("rmdir", "path", 0),
    86: ("link", "path", 1),
    87: ("unlink", "path", 0),
    88: ("symlink", "path", 1),
    90: ("chmod", "path", 0),
    91: ("fchmod", "descriptor", 0),
    92: ("chown", "path", 0),
    93: ("fchown", "descriptor", 0),
    94: ("lchown", "path", 0),
    165: ("mount", "path", 1),
    257: ("openat", "path", 1),
    258: ("mkdirat", "path", 1),
    260: ("fchownat", "path", 1),
    263: ("unlinkat", "path", 1),
    264: ("renameat", "path", 3),
    265: ("linkat", "path", 3),
    268: ("fchmodat", "path", 1),
    280: ("utimensat", "path", 1),
    316: ("renameat2", "path", 3),
    322: ("execveat", "path", 1),
    326: ("copy_file_range", "descriptor", 2),
}
OPENAT, O_CREAT = 257, 0o100
HERE = 0xFFFFFF9C  # AT_FDCWD
AUDIT_ARCH = 0xC000003E
ALLOW, ASK = 0x7FFF0000, 0x7FC00000


class Event(t.NamedTuple):
    """A call that is about to happen: who (a command, or empty for the process itself), what and where."""

    by: str
    call: str
    where: str

    def __str__(self) -> str:
        return f"{self.by or 'the module'}: {self.call} {self.where}"


def program() -> bytes:
    """The filter in BPF: ask for these calls, for openat only when it makes a file; allow all else."""

    def line(code: int, yes: int, no: int, value: int) -> bytes:
        return struct.pack("HBBI", code, yes, no, value)

    load, equal, has, end = 0x20, 0x15, 0x45, 0x06
    lines = [line(load, 0, 0, 4), line(equal, 1, 0, AUDIT_ARCH), line(end, 0, 0, ALLOW), line(load, 0, 0, 0)]
    lines += [line(equal, 0, 4, OPENAT), line(load, 0, 0, 32), line(has, 0, 1, O_CREAT)]
    lines += [line(end, 0, 0, ASK), line(end, 0, 0, ALLOW)]
    for number in sorted(set(CALLS) - {OPENAT}):
        lines += [line(equal, 0, 1, number), line(end, 0, 0, ASK)]
    return b"".join([*lines, line(end, 0, 0, ALLOW)])


def event_of(thread: int, pid: int, number: int, arguments: t.Sequence[int]) -> Event | None:
    """What is about to happen; None for what changes nothing of ours."""
    name, kind, index = CALLS[number]
    try:
        process = _process(thread)
        if kind == "descriptor":
            where = _descriptor(thread, arguments[index])
        else:
            where = os.path.join(_folder(thread, name, arguments[index - 1]), _path(thread, arguments[index]))
    except (OSError, ValueError):
        return None
    if name.startswith("execve") and not os.path.exists(where):
        return None  # a search along PATH
    if where.startswith(("/tmp/ansible_", "/dev/", "anon_inode:", "/proc/")):  # noqa: S108
        return None  # Ansible's own wrapper, and what is no file
    if name.startswith("execve") and process == pid:
        return None  # the interpreter itself
    by = "" if process == pid else _command(process)
    if name.startswith("execve"):
        by, where = "", " ".join(_words(thread, arguments[index + 1]))
    return Event(_steady(by), name, _steady(where))


def _process(thread: int) -> int:
    with open(f"/proc/{thread}/status", encoding="utf-8", errors="replace") as stream:
        return int(re.search(r"^Tgid:\s+(\d+)", stream.read(), re.MULTILINE)[1])


def _command(process: int) -> str:
    with open(f"/proc/{process}/cmdline", "rb") as stream:
        words = stream.read().decode(errors="replace").split("\0")
    return " ".join([os.path.basename(words[0]), *words[1:]]).strip()


def _memory(thread: int, address: int, size: int) -> bytes:
    descriptor = os.open(f"/proc/{thread}/mem", os.O_RDONLY)
    try:
        return os.pread(descriptor, size, address)
    finally:
        os.close(descriptor)


def _path(thread: int, address: int) -> str:
    content = b""
    while b"\0" not in content and len(content) < 4096:
        step = 256 - (address + len(content)) % 256  # never across the end of a page
        content += _memory(thread, address + len(content), step)
    return content.partition(b"\0")[0].decode(errors="replace")


def _folder(thread: int, name: str, descriptor: int) -> str:
    """Where a relative path begins; ``rename`` and its like start at the working directory, others may say where."""
    at = name.endswith(("at", "at2")) and descriptor & 0xFFFFFFFF != HERE
    return os.readlink(f"/proc/{thread}/fd/{descriptor & 0xFFFFFFFF}" if at else f"/proc/{thread}/cwd")


def _words(thread: int, address: int) -> list[str]:
    words = []
    while True:
        (pointer,) = struct.unpack("Q", _memory(thread, address + 8 * len(words), 8))
        if pointer == 0:
            return words
        words.append(_path(thread, pointer))


def _descriptor(thread: int, number: int) -> str:
    return os.readlink(f"/proc/{thread}/fd/{number}")


def _steady(text: str) -> str:
    """The text without what is another in each run: process numbers, inodes, names made by chance."""
    text = re.sub(r"/tmp/[A-Za-z0-9_.-]+|/run/kills/\S+", "(a file of its own)", text)  # noqa: S108
    text = re.sub(r"/\w+/\.ansible/tmp/\S+", "(an upload)", text)
    return re.sub(r"(?<![0-9a-f])[0-9]{3,}(?![0-9a-f])|#[0-9a-f]{16}\b", "N", text)[:200]
