# SPDX-License-Identifier: MIT
"""Each host of the fleet runs in its own control group, by which it is also found and ended."""

from __future__ import annotations

import contextlib
import time
import typing as t
from pathlib import Path

from fleet import FleetError

if t.TYPE_CHECKING:
    from collections.abc import Iterable

MOUNTED = Path("/sys/fs/cgroup")
PATIENCE = 15.0  # seconds


def hierarchies(mounted: Path = MOUNTED) -> list[Path]:
    """Where a host needs a group: the one of cgroup 2, and systemd's own on a machine that mixes both versions."""
    if (mounted / "cgroup.procs").is_file() and (mounted / "cgroup.controllers").is_file():
        return [mounted]
    if (mounted / "unified" / "cgroup.procs").is_file() and (mounted / "systemd" / "cgroup.procs").is_file():
        return [mounted / "unified", mounted / "systemd"]
    raise FleetError(f"{mounted} has no cgroup 2 hierarchy; start the kernel with systemd.unified_cgroup_hierarchy=1")


def of(machine: str) -> list[Path]:
    """The groups of one host; the first is the one in cgroup 2."""
    return [hierarchy / machine for hierarchy in hierarchies()]


def leftovers(prefix: str) -> list[str]:
    """The machines that have a group."""
    found = {path.name for hierarchy in hierarchies() for path in hierarchy.glob(f"{prefix}-*")}
    return sorted(found)


def alive(machine: str) -> bool:
    """Whether anything runs in a host's group."""
    try:
        return "populated 1" in (of(machine)[0] / "cgroup.events").read_text(encoding="ascii")
    except FileNotFoundError:
        return False


def end(machines: Iterable[str]) -> None:
    """End all processes of hosts at once, and remove their groups.

    The payload first, so that systemd-nspawn sees its host end and cleans up after it; then, after three seconds,
    whatever is left. A kill of the whole group cannot miss the host, as a SIGKILL of systemd-nspawn alone would.
    """
    names = list(machines)
    for name in names:
        _kill(of(name)[0] / "payload")
    _wait(names, 3.0)
    for name in names:
        _kill(of(name)[0])
    left = _wait(names, PATIENCE)
    if left:
        raise FleetError(f"still running {PATIENCE:.0f} s after they were killed: the control groups {', '.join(left)}")
    for name in names:
        for group in of(name):
            _remove(group)


def _kill(group: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        (group / "cgroup.kill").write_text("1", encoding="ascii")


def _wait(names: list[str], seconds: float) -> list[str]:
    deadline = time.monotonic() + seconds
    while left := [name for name in names if alive(name)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return left


def _remove(group: Path) -> None:
    """Remove a group and those in it; the kernel may need a moment after the last process."""
    deadline = time.monotonic() + PATIENCE
    while group.is_dir():
        inner = sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True)
        try:
            for path in [*inner, group]:
                path.rmdir()
        except OSError as error:
            if time.monotonic() > deadline:
                raise FleetError(f"cannot remove the control group {error.filename}: {error.strerror}") from error
            time.sleep(0.05)
