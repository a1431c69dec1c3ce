# SPDX-License-Identifier: MIT
"""Runs on a host of the fleet, with the standard library: kills one run of a module after the other, and looks.

A job (JSON on standard input) has states, and ways between them: a call of a module, or a script. Each call is first
made undisturbed, to know its events; then one run is killed at a chosen event, and one more run must reach the same.
What was found of each point is printed as a line of JSON.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import sys
import time
import typing as t

import judge
import look
import trap

ROOT = "/run/kills"
CALL_SECONDS = 150

Point = tuple[str, str, int, str]  # a way, an event, which of those, and who is killed


@dataclasses.dataclass
class Way:
    """From one state to another: ``call`` names a recorded call, ``script`` is for what no module does.

    After a kill, the next run is the same call again, or ``repair``, which leads to the state ``repaired``.
    """

    name: str
    start: str
    end: str
    call: str = ""
    script: str = ""
    keeps: bool = True  # whether keys and data outlive it
    carries: bool = False  # whether the mesh does, at any moment
    repair: str = ""
    repaired: str = ""
    points: list[tuple[str, int, str]] = dataclasses.field(default_factory=list)
    spare: list[tuple[str, int, str]] = dataclasses.field(default_factory=list)


class Agent:
    """One job on this host."""

    def __init__(self, job: dict[str, t.Any]) -> None:
        self._job = job
        self._ways = [Way(**each) for each in job["ways"]]
        self._state = job["state"]
        self._reference: dict[str, look.Seen] = {}
        self._before: dict[str, look.Seen] = {}

    def run(self) -> None:
        for name in self._job["enter"]:
            problem = judge.problem(self._call(name, lambda _event: "go"))
            if problem:
                raise RuntimeError(f"{name}, before the first kill: {problem}")
        self._reference[self._state] = self._look()
        self._calibrate()
        while any(way.points for way in self._ways):
            way = self._next()
            if way.points:
                self._point(way)
            else:
                self._go(way)
        for way in self._path(self._job["finish"]):
            self._go(way)

    def _calibrate(self) -> None:
        """Go every way once, undisturbed, and choose its points."""
        unknown = [way for way in self._ways if way.call]
        while unknown:
            way = next((each for each in unknown if each.start == self._state), None)
            if way is None:
                self._go(self._path(unknown[0].start)[0])
                continue
            unknown.remove(way)
            candidates = judge.candidates(self._go(way).events)
            rng = random.Random(f"{self._job['seed']} {self._job['name']} {way.name}")  # noqa: S311
            rng.shuffle(candidates)
            number = max(1, round(self._job["share"] * self._job["points"]))
            way.points, way.spare = candidates[:number], candidates[number:]
            most = min(len(candidates), self._job["points"])
            _tell("way", way=way.name, candidates=len(candidates), most=most, points=len(way.points))

    def _next(self) -> Way:
        """The next way: one with points that starts here, or the first step to one."""
        here = [way for way in self._ways if way.points and way.start == self._state]
        if here:
            return max(here, key=lambda way: len(way.points))
        there = max((way for way in self._ways if way.points), key=lambda way: len(way.points))
        return self._path(there.start)[0]

    def _path(self, goal: str) -> list[Way]:
        """The shortest way from here to a state."""
        paths: list[tuple[str, list[Way]]] = [(self._state, [])]
        seen = {self._state}
        for state, path in paths:
            if state == goal:
                return path
            for way in self._ways:
                if way.start == state and way.end not in seen:
                    seen.add(way.end)
                    paths.append((way.end, [*path, way]))
        raise RuntimeError(f"no way from {self._state} to {goal}")

    def _go(self, way: Way) -> trap.Outcome:
        """Undisturbed."""
        if way.script:
            look.said("bash", "-ec", way.script)
            outcome = trap.Outcome([], 0, b"", False)
        else:
            outcome = self._call(way.call, lambda _event: "go")
            problem = judge.problem(outcome)
            if problem:
                raise RuntimeError(f"{way.name}, undisturbed: {problem}")
        self._state = way.end
        seen = self._look()
        wrong = judge.differences(self._reference.setdefault(way.end, seen), seen)
        if wrong:
            _tell("unsteady", way=way.name, wrong=wrong)
        return outcome

    def _point(self, way: Way) -> None:
        label, occurrence, who = way.points.pop()
        kept = {**look.identity(), **look.database(self._job["kept"])} if way.keeps else {}
        seen = 0

        def decide(event: trap.Event) -> str:
            nonlocal seen
            seen += str(event) == label
            return who if str(event) == label and seen == occurrence else "go"

        started = time.monotonic()
        killed = self._call(way.call, decide)
        if not killed.killed:
            _tell("missed", way=way.name, event=label, occurrence=occurrence)  # another way, this time
            self._state = way.end
            if way.spare:
                way.points.append(way.spare.pop())
            return
        between = self._look(settled=False)
        own = look.identity() if not way.keeps else {}
        repair = self._call(way.repair or way.call, lambda _event: "go")
        problem = judge.problem(repair)
        self._state = way.repaired or way.end
        wanted = self._reference[self._state]
        wrong = [problem] if problem else []
        wrong += ["mesh: nobody is reached until that run"] if way.carries and between["mesh"] != "open" else []
        wrong += judge.differences(wanted, self._look())
        now = {**look.identity(), **look.database(self._job["kept"])}
        wrong += [f"lost: {name}: {was} -> {now.get(name)}" for name, was in kept.items() if now.get(name) != was]
        if self._state != "none":
            wrong += [f"made anew: {name}" for name, was in own.items() if now.get(name) != was]
        torn = judge.torn(self._reference[way.start], between, self._reference[way.end])
        down = [
            name
            for name, state in between.items()
            if name.startswith("unit ") and judge.runs(self._reference[way.start][name]) and not judge.runs(state)
        ]
        _tell(
            "point",
            way=way.name,
            event=label,
            occurrence=occurrence,
            who=who,
            wrong=wrong,
            torn=torn,
            down=down if judge.runs_in(wanted) else [],
            seconds=round(time.monotonic() - started, 2),
        )
        if wrong:
            self._mend(way)

    def _mend(self, way: Way) -> None:
        """Let the next points not suffer: run once more, and take it as it is if that does not help."""
        self._call(way.repair or way.call, lambda _event: "go")
        wrong = judge.differences(self._reference[self._state], self._look())
        if wrong:
            _tell("stays wrong", way=way.name, wrong=wrong)

    def _call(self, name: str, decide: t.Callable[[trap.Event], str]) -> trap.Outcome:
        """One run of a module. A process of its own watches it, and what it started as long as that lives."""
        source = f"{ROOT}/calls/{name}"
        for upload, kept in self._job["uploads"].items():
            shutil.copyfile(kept, upload)  # the module removes it when it has read it
        ours, theirs = os.pipe()
        watcher = os.fork()
        if watcher == 0:
            os.close(ours)
            _watch(source, decide, theirs)
        os.close(theirs)
        with os.fdopen(ours, "rb") as stream:
            content = stream.read()
        if not content:
            raise RuntimeError(f"{name}: the watcher died")
        events, status, said, killed = json.loads(content)
        return trap.Outcome([trap.Event(*each) for each in events], status, said.encode(), killed)

    def _look(self, settled: bool = True) -> look.Seen:
        return look.host(self._job, settled)


def _watch(source: str, decide: t.Callable[[trap.Event], str], sink: int) -> t.NoReturn:
    """In a child of ours, and never seen again: its own child is adopted by nobody that waits."""

    def release(outcome: trap.Outcome) -> None:
        with os.fdopen(sink, "wb") as stream:
            said = outcome.said.decode(errors="replace")
            stream.write(json.dumps([outcome.events, outcome.status, said, outcome.killed]).encode())

    status = 1
    try:
        trap.run(["/usr/bin/python3"], source, decide, release, CALL_SECONDS)
        status = 0
    finally:
        os._exit(status)


def _tell(kind: str, **said: t.Any) -> None:
    print(json.dumps({"kind": kind, **said}), flush=True)


if __name__ == "__main__":
    try:
        Agent(json.load(sys.stdin)).run()
    except Exception as exc:
        _tell("broken", why=f"{type(exc).__name__}: {exc}")
        raise
