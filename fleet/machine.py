# SPDX-License-Identifier: MIT
"""What all fleets of a machine share: a lock, the mount that `ip netns` makes, and a kernel limit.

The first fleet that comes up changes these and notes in MARKS how they were; the last that goes puts them back.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import typing as t
from pathlib import Path

from fleet.shell import run
from fleet.state import ROOT

if t.TYPE_CHECKING:
    from collections.abc import Iterator

NETNS = Path("/run/netns")
MARKS = Path("/run/wonder-mesh")
MADE_NETNS = MARKS / "made-netns"  # there if the mount on NETNS is ours
OLD_LIMIT = MARKS / "max_user_instances"  # holds the limit as it was
# A host's systemd, logind and D-Bus take nine inotify instances of root; the kernel's default of 128 ends at 14 hosts.
LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH = 1024
OURS = re.compile(r"wm[0-9a-f]{6}[-.]")


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Hold the lock of all fleets: the directory that their state is in."""
    ROOT.mkdir(mode=0o755, exist_ok=True)
    directory = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def prepare() -> None:
    """Make the machine ready for a fleet; call it under the lock, and make the fleet's network under it too."""
    MARKS.mkdir(exist_ok=True)
    if not os.path.ismount(NETNS):
        MADE_NETNS.touch()
    limit = int(LIMIT.read_text(encoding="ascii"))
    if limit < ENOUGH:
        OLD_LIMIT.write_text(f"{limit}\n", encoding="ascii")
        LIMIT.write_text(f"{ENOUGH}\n", encoding="ascii")


def restore() -> None:
    """Put back what `prepare` changed, if no fleet is left; call it under the lock."""
    left = os.listdir(NETNS) if NETNS.is_dir() else []
    if any(OURS.match(name) for name in left):
        return
    if OLD_LIMIT.exists():
        LIMIT.write_text(OLD_LIMIT.read_text(encoding="ascii"), encoding="ascii")
        OLD_LIMIT.unlink()
    if MADE_NETNS.exists() and not left:
        if os.path.ismount(NETNS):
            run("umount", str(NETNS))
            NETNS.rmdir()
        MADE_NETNS.unlink()
    with contextlib.suppress(OSError):  # not there, or a mount of others keeps the mark
        MARKS.rmdir()
