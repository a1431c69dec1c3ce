# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""What each host of a run is doing, and how far the run is. It knows nothing of Ansible and of terminals."""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

# What became of a host's last task, worst first. Words, so that no colour is needed to tell them apart.
OUTCOMES = ("FAILED", "unreachable", "changed", "ok")
RUNNING, LOST = "running", OUTCOMES[:2]


@dataclasses.dataclass
class Host:
    """One host: its current or last task, since when (on the run's clock), and what became of that."""

    name: str
    task: str = ""
    since: float = 0.0
    state: str = "waiting"
    changed: int = 0
    done: int = 0


class Progress:
    """A run with its clock, in seconds.

    ``plan`` lists for each play the ids of its tasks in their order. Tasks that are not in it (included while the run
    goes on) do not move the run, and those that are left out by tags are passed over.
    """

    def __init__(self, plan: Sequence[Iterable[str]], clock: Callable[[], float]) -> None:
        self._clock, self._started = clock, clock()
        self._plan = [list(tasks) for tasks in plan]
        self._total = max(1, sum(map(len, self._plan)))
        self._passed = 0
        self._position: dict[str, int] = {}
        self.hosts: dict[str, Host] = {}
        self.plays, self.play, self.title = len(self._plan), 0, ""

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._started

    @property
    def share(self) -> float:
        """How much of the run is behind us, 0 to 1."""
        return self._passed / self._total

    def start_play(self, title: str) -> None:
        """The next play begins."""
        self.play, self.title = min(self.play + 1, self.plays), title
        before = sum(map(len, self._plan[: self.play - 1]))
        tasks = self._plan[self.play - 1] if self._plan else []
        self._position = {task: before + number for number, task in enumerate(tasks)}
        self._passed = max(self._passed, before)

    def start_task(self, task: str) -> None:
        """A task begins, on some host or on all; tasks before it are over."""
        self._passed = max(self._passed, self._position.get(task, 0))

    def start_host(self, host: str, task: str) -> None:
        """A host begins with a task."""
        each = self.hosts.setdefault(host, Host(host))
        each.task, each.since, each.state = task, self.elapsed, RUNNING

    def end_host(self, host: str, task: str, outcome: str) -> float:
        """A host is done with a task: one of OUTCOMES, or ``skipped``; returns how long it took, in seconds."""
        each = self.hosts.setdefault(host, Host(host, task, self.elapsed))
        took = self.elapsed - each.since
        each.since, each.state = self.elapsed, outcome
        each.changed += outcome == "changed"
        each.done += outcome != "skipped"
        return took

    def rows(self, room: int) -> tuple[list[Host], int]:
        """At most so many hosts by name, first those that do something and those that are lost; and how many more."""
        hosts = list(self.hosts.values())
        first = sorted(hosts, key=lambda host: (host.state != RUNNING, host.state not in LOST, host.name))
        return sorted(first[:room], key=lambda host: host.name), max(0, len(hosts) - room)


def clock_time(seconds: float) -> str:
    """0:07, 12:34 or 1:02:03"""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
