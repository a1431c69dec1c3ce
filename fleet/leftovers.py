# SPDX-License-Identifier: MIT
"""Find what is left of a fleet by its prefix, wherever a killed run stopped, and remove it.

Nothing is looked up in the state directory, which may be half-written or gone: the kernel knows the control groups,
mounts and network namespaces, and their names begin with the prefix.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from fleet import FleetError, cgroups, machine
from fleet.machine import NETNS
from fleet.shell import run

NSPAWN = Path("/run/systemd/nspawn")  # systemd-nspawn keeps a directory per machine here
PATIENCE = 10.0  # seconds


def mounts(prefix: str, mountinfo: str) -> list[tuple[str, str]]:
    """A fleet's overlays in the text of /proc/self/mountinfo: (machine, mount point), the innermost first."""
    found = []
    for line in mountinfo.splitlines():
        before, _dash, after = line.partition(" - ")
        source = after.split()[1]
        if source.startswith(f"{prefix}-"):
            found.append((source, before.split()[4].encode().decode("unicode_escape")))
    return found[::-1]


def namespaces(prefix: str) -> list[str]:
    """The network namespaces of a fleet."""
    names = os.listdir(NETNS) if NETNS.is_dir() else []
    return sorted(name for name in names if name.startswith((f"{prefix}-", f"{prefix}.")))


def machines(prefix: str) -> list[str]:
    """The hosts of which there is a control group or a mount."""
    mounted = {source for source, _point in mounts(prefix, _mountinfo())}
    return sorted(mounted | set(cgroups.leftovers(prefix)))


def clean(prefix: str) -> None:
    """Remove all that a fleet has on the machine, but for the files of its state directory."""
    stop(prefix, machines(prefix))
    end_network(prefix)


def stop(prefix: str, names: list[str]) -> None:
    """End hosts at once and unmount their overlays; what they wrote stays."""
    cgroups.end(names)
    for source, point in mounts(prefix, _mountinfo()):
        if source in names:
            run("umount", point)
    for kept in NSPAWN.glob("*/*"):
        if kept.name in names:
            with contextlib.suppress(OSError):  # newer versions keep more there, and remove it themselves
                kept.rmdir()


def end_network(prefix: str) -> None:
    """End what still runs in a fleet's namespaces (SSH connections, a person's commands) and remove them."""
    names = namespaces(prefix)
    for name in names:
        _end_processes(name)
    if names:
        run("ip", "-batch", "-", stdin="".join(f"netns delete {name}\n" for name in names))
    with machine.locked():
        machine.restore()


def _end_processes(namespace: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while pids := run("ip", "netns", "pids", namespace, check=False).stdout.split():
        if time.monotonic() > deadline:
            raise FleetError(f"processes {', '.join(pids)} in the network namespace {namespace} do not end")
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.05)


def _mountinfo() -> str:
    return Path("/proc/self/mountinfo").read_text(encoding="utf-8")
