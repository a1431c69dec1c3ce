# SPDX-License-Identifier: MIT
"""The memory of Ansible's processes in a control group while it is at work, in MiB."""

from __future__ import annotations

import contextlib
import re
import threading
import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Iterator

OWN = re.compile(r"^(?:Private_Clean|Private_Dirty):\s+(\d+) kB", re.MULTILINE)
EVERY = 0.02  # seconds
KIB = 1024


class Memory:
    """The most that was seen: of Ansible itself, of any one of its forks, and of forks at once."""

    def __init__(self) -> None:
        self.main = 0.0
        self.fork = 0.0
        self.forks = 0

    def look(self, group: Path) -> None:
        """See what there is now. What a fork shares with Ansible itself is not its own."""
        processes = {pid: each for pid in _pids(group) if (each := _read(pid))}
        forks = [own for parent, own in processes.values() if parent in processes]
        self.main = max([self.main, *(own for parent, own in processes.values() if parent not in processes)])
        self.fork = max([self.fork, *forks])
        self.forks = max(self.forks, len(forks))


@contextlib.contextmanager
def watched(group: Path) -> Iterator[Memory]:
    """Look every 20 ms, for as long as there is such a group."""
    memory, over = Memory(), threading.Event()

    def watch() -> None:
        while not over.wait(EVERY):
            memory.look(group)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield memory
    finally:
        over.set()
        thread.join()


def _pids(group: Path) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(pid) for pid in (group / "cgroup.procs").read_text(encoding="ascii").split()]
    return []


def _read(pid: int) -> tuple[int, float] | None:
    """The parent of a process of Ansible's, and the memory that is its own; None for another, or one that has ended."""
    place = Path("/proc") / str(pid)
    with contextlib.suppress(OSError):
        if b"ansible-playbook" in (place / "cmdline").read_bytes():
            parent = int((place / "stat").read_text(encoding="ascii").rpartition(")")[2].split()[1])
            own = sum(map(int, OWN.findall((place / "smaps_rollup").read_text(encoding="ascii"))))
            return parent, own / KIB
    return None
