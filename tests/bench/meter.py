# SPDX-License-Identifier: MIT
"""The CPU time of a command: of all that it starts on this machine, and of the fleet's hosts while it runs.

Both are read from control groups (``cpu.stat`` of cgroup 2, user and system time). What a command leaves behind in the
background, such as the SSH client's open connections, counts too, until its group is closed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import time
import typing as t

from fleet import cgroups

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

SECONDS = 900
ENTER = 'echo $$ >"$0/cgroup.procs" && exec "$@"'


@dataclasses.dataclass
class Cost:
    """What a run took, in seconds: of CPU on the controller and on all hosts, and by the clock; and what it said."""

    controller: float = 0.0
    hosts: float = 0.0
    wall: float = 0.0
    status: int = 0
    output: str = ""

    @property
    def cpu(self) -> float:
        return self.controller + self.hosts

    def __str__(self) -> str:
        parts = f"{self.controller:.2f} s controller, {self.hosts:.2f} s hosts"
        return f"{self.cpu:.2f} s CPU ({parts}), {self.wall:.2f} s"


def group_of() -> Path:
    """Where the control group of a command that is measured is, while it is."""
    return cgroups.hierarchies()[0] / f"wonder-mesh-bench-{os.getpid()}"


@contextlib.contextmanager
def controller() -> Iterator[Path]:
    """A control group of our own."""
    group = group_of()
    group.mkdir()
    try:
        yield group
    finally:
        deadline = time.monotonic() + 30
        while (group / "cgroup.procs").read_text(encoding="ascii") and time.monotonic() < deadline:
            time.sleep(0.02)
        group.rmdir()


def measure(
    command: Sequence[str], machines: Sequence[str], group: Path, directory: Path, environment: Mapping[str, str]
) -> Cost:
    """Run a command in the new group and see what it took."""
    before = _used(machines)
    started = time.monotonic()
    done = subprocess.run(
        ["bash", "-c", ENTER, str(group), *command],
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    wall = time.monotonic() - started
    return Cost(_usage(group), _used(machines) - before, wall, done.returncode, done.stdout)


def _used(machines: Sequence[str]) -> float:
    return sum(_usage(cgroups.of(machine)[0]) for machine in machines)


def _usage(group: Path) -> float:
    lines = (group / "cpu.stat").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("usage_usec")).split()[1]) / 1e6
