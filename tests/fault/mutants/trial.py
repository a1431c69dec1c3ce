# SPDX-License-Identifier: MIT
"""A mutant that the check takes, run for real: it converges and is proven, or everything is as it was."""

from __future__ import annotations

import dataclasses
import typing as t

from tests.fault.ground import moved, restored

if t.TYPE_CHECKING:
    from pathlib import Path

    from tests.fault.ground import Looks
    from tests.fault.mutants.mutations import Mutant
    from tests.fault.mutants.place import Place, Run

# What nobody should have to read, whatever the inventory holds.
TRACES = ("Traceback (most recent", "Unexpected", "unhandled", "internal error", "MODULE FAILURE", " object at 0x")
USERS = ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/subuid", "/etc/subgid")
CONVERGED, ROLLED_BACK, OUT_OF_REACH = "converged", "rolled back", "out of reach"


@dataclasses.dataclass(frozen=True)
class State:
    """What the hosts are, and what a stranger gets from the services' addresses."""

    looks: Looks
    answers: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Trial:
    """How it ended, what is wrong with that, and the state after it."""

    mutant: Mutant
    end: str
    traces: list[str]
    halves: list[str]
    state: State

    @property
    def faults(self) -> str:
        """Everything wrong, with what is needed to try it again; "" if nothing is."""
        wrong = [*self.traces, *self.halves]
        return "\n".join([str(self.mutant), *wrong]) if wrong else ""


def state_of(place: Place) -> State:
    return State(place.look(), place.answers())


def attempt(place: Place, mutant: Mutant, inventory: Path, before: State) -> Trial:
    """Run site.yml with the mutant, whose text is in the inventory file."""
    run = place.converge(inventory)
    after = state_of(place)
    if run.status == 0:
        halves = [] if run.proof.get("ok") else [f"a run that succeeds, and a proof that does not: {run.proof}"]
        return Trial(mutant, CONVERGED, traces(run.output), halves, after)
    halves = moved(settled(restored(before.looks)), settled(restored(after.looks)))
    halves += [
        f"{url}: {was} -> {after.answers[url]}" for url, was in before.answers.items() if was != after.answers[url]
    ]
    away = {host for (host, _), line in run.events.said.items() if line["outcome"] == "unreachable"}
    if halves and away:
        # The others become what is wanted. The proof says that nobody could ask this one, and nothing else.
        halves = [each for each in halves if each.partition(": ")[0] in away or each.startswith("https://")]
        halves += [problem for problem in said(run) if not any(host in problem for host in away)]
        return Trial(mutant, OUT_OF_REACH, traces(run.output), halves, after)
    if halves:
        halves += ["It said:", *run.events.failures(), *said(run)]
    return Trial(mutant, ROLLED_BACK, traces(run.output), halves, after)


def settled(looks: Looks) -> Looks:
    """Without what the last probe decides (whether a socket's program runs), and the users, who stay."""
    return {
        host: look
        | {
            "files": {path: seen for path, seen in look["files"].items() if not path.startswith(USERS)},
            "units": {
                unit: [line for line in lines if not (unit.endswith(".socket") and line.startswith("SubState="))]
                for unit, lines in look["units"].items()
            },
        }
        for host, look in looks.items()
    }


def traces(output: str) -> list[str]:
    """Lines that only a programmer could make sense of."""
    return [line.strip()[:300] for line in output.splitlines() if any(each in line for each in TRACES)]


def said(run: Run) -> list[str]:
    """What the proof found, if it came to that."""
    return [str(each) for each in run.proof.get("problems", ())]
