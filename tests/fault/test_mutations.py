# SPDX-License-Identifier: MIT
"""Wrong configurations: each is refused before a change, converges and is proven, or leaves everything as it was.

WONDER_MESH_FAULT_MUTANTS, a list of seeds as a failure prints them, runs those and no others.
"""

from __future__ import annotations

import collections
import os
import random
import re
import typing as t

import pytest

from tests.fault.conftest import SEED, SHARE, share_of
from tests.fault.ground import moved, restored
from tests.fault.mutants.files import make_files
from tests.fault.mutants.judge import Verdict, judge
from tests.fault.mutants.mutations import Mutant, Mutator
from tests.fault.mutants.place import NAMES, Place
from tests.fault.mutants.trial import (
    CONVERGED,
    OUT_OF_REACH,
    ROLLED_BACK,
    State,
    Trial,
    attempt,
    settled,
    state_of,
    traces,
)

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MUTATIONS, PLAYED = 500, 30  # of all cases; and of those that are refused so many by a play too
# Those that ask no host. The check of the role's arguments has the name of the first in its own.
BEFORE = ("Check the whole inventory", "Be the only run of this inventory")
INTERNAL = re.compile(r"Traceback|object at 0x|<class|\w+Error\(|recursion|internal")


class Case(t.NamedTuple):
    mutant: Mutant
    verdict: Verdict


class Refusal(t.NamedTuple):
    """A refused mutant, and what a play of site.yml said about it."""

    case: Case
    status: int
    asked: list[tuple[str, str]]  # of which host what
    problems: list[str]
    traces: list[str]


class Tried(t.NamedTuple):
    """The trials of all wanted states that differ, by wanted state; and what all was before and after them."""

    trials: dict[str, Trial]
    good: str
    before: State
    after: State


def chosen() -> list[str]:
    """The seeds of this run."""
    if named := os.environ.get("WONDER_MESH_FAULT_MUTANTS", "").split():
        return named
    return [f"{SEED}.{each}" for each in share_of(MUTATIONS)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with Place(tmp_path_factory.mktemp("mutants")).anew() as fleet:
        yield fleet


@pytest.fixture(scope="module")
def inventory(place: Place) -> Path:
    """The file that each mutant is written to."""
    return place.work / "hosts.yml"


@pytest.fixture(scope="module")
def mutator(place: Place) -> Mutator:
    folder = place.work / "files"
    folder.mkdir()
    return Mutator(place.good(), make_files(folder), place.work)


@pytest.fixture(scope="module")
def cases(mutator: Mutator, inventory: Path) -> list[Case]:
    found = []
    for seed in chosen():
        mutant = mutator.mutant(seed)
        found.append(Case(mutant, verdict_of(mutant, inventory)))
    return found


@pytest.fixture(scope="module")
def good(place: Place, mutator: Mutator, inventory: Path) -> State:
    """The mesh of the good inventory, proven."""
    inventory.write_text(mutator.text, encoding="utf-8")
    run = place.converge(inventory)
    assert (run.status, run.proof.get("ok")) == (0, True), run.output[-4000:]
    return state_of(place)


@pytest.fixture(scope="module")
def refusals(place: Place, good: State, cases: list[Case], inventory: Path) -> list[Refusal]:
    """A sample of what is refused, in a real run."""
    assert good.looks
    refused = [case for case in cases if case.verdict.refused]
    number = min(len(refused), max(1, round(PLAYED * SHARE)))
    found = []
    for case in random.Random(SEED).sample(refused, number):  # noqa: S311
        inventory.write_text(case.mutant.text, encoding="utf-8")
        run = place.converge(inventory)
        said = [line["message"].split("\n", 1)[-1] for line in run.events.said.values() if line["outcome"] != "ok"]
        problems = sorted(set(said))
        found.append(Refusal(case, run.status, sorted(run.events.said), problems, traces(run.output)))
    return found


@pytest.fixture(scope="module")
def tried(
    place: Place, good: State, refusals: list[Refusal], cases: list[Case], mutator: Mutator, inventory: Path
) -> Tried:
    """Each wanted state is tried once. Where the mesh was another before, what fails is tried from the good one."""
    assert refusals is not None
    inventory.write_text(mutator.text, encoding="utf-8")
    same = judge(inventory, NAMES).wanted
    trials: dict[str, Trial] = {}
    state, is_good = good, True
    for mutant, verdict in cases:
        if verdict.refused or verdict.wanted == same or verdict.wanted in trials:
            continue
        trial = attempted(place, mutant, inventory, state)
        if trial.halves and not is_good:
            trial = attempted(place, mutant, inventory, back(place, mutator, inventory))
        trials[verdict.wanted] = trial
        state, is_good = trial.state, is_good and trial.end == ROLLED_BACK
    return Tried(trials, same, good, back(place, mutator, inventory))


def verdict_of(mutant: Mutant, inventory: Path) -> Verdict:
    inventory.write_text(mutant.text, encoding="utf-8")
    try:
        return judge(inventory, NAMES)
    except Exception as exc:
        raise AssertionError(f"{mutant}\nmakes the check raise {exc!r}") from exc


def attempted(place: Place, mutant: Mutant, inventory: Path, before: State) -> Trial:
    inventory.write_text(mutant.text, encoding="utf-8")
    return attempt(place, mutant, inventory, before)


def back(place: Place, mutator: Mutator, inventory: Path) -> State:
    """The good inventory again, by one run."""
    inventory.write_text(mutator.text, encoding="utf-8")
    run = place.converge(inventory)
    assert (run.status, run.proof.get("ok")) == (0, True), run.output[-4000:]
    return state_of(place)


def test_each_refusal_says_where_what_why_and_what_to_do(cases: list[Case]) -> None:
    lines = [(case.mutant, line) for case in cases if case.verdict.refused == "check" for line in case.verdict.problems]
    wrong = [
        f"{mutant}\n{line}"
        for mutant, line in lines
        if not (line.isprintable() and line.count(": ") >= 3 and ": found " in line and line.endswith("."))
    ]
    assert wrong == []


def test_no_refusal_talks_of_our_code(cases: list[Case]) -> None:
    lines = [(case.mutant, line) for case in cases for line in case.verdict.problems]
    assert [f"{mutant}\n{line}" for mutant, line in lines if INTERNAL.search(line)] == []


def test_a_real_run_refuses_the_same_with_the_same_words(refusals: list[Refusal]) -> None:
    # Ansible itself may speak first, of a port that is no number.
    wrong = [
        f"{each.case.mutant}\n{each.case.verdict.problems}\n{each.problems}"
        for each in refusals
        if each.case.verdict.refused == "check" and "\n".join(each.case.verdict.problems) not in each.problems
    ]
    assert wrong == []


def test_what_is_refused_is_refused_before_any_host_is_asked(refusals: list[Refusal]) -> None:
    asked = [
        (str(each.case.mutant), each.asked)
        for each in refusals
        if not all(task.endswith(BEFORE) for _, task in each.asked)
    ]
    assert asked == []


def test_what_is_taken_converges_and_is_proven_or_leaves_everything_as_it_was(tried: Tried) -> None:
    assert [trial.faults for trial in tried.trials.values() if trial.halves] == []


def test_nobody_reads_a_stack_trace(tried: Tried, refusals: list[Refusal]) -> None:
    traced = [trial.faults for trial in tried.trials.values() if trial.traces]
    assert traced + [f"{each.case.mutant}\n{each.traces}" for each in refusals if each.traces] == []


def test_one_run_of_the_good_inventory_brings_everything_back(tried: Tried) -> None:
    wrong = moved(settled(restored(tried.before.looks)), settled(restored(tried.after.looks)))
    assert (wrong, tried.after.answers) == ([], tried.before.answers)


def test_the_numbers(cases: list[Case], tried: Tried, refusals: list[Refusal], say: Callable[[str], None]) -> None:
    """Each mutation came to an end that it may have."""
    ends = collections.Counter(
        "refused"
        if verdict.refused
        else CONVERGED
        if verdict.wanted == tried.good
        else tried.trials[verdict.wanted].end
        for _, verdict in cases
    )
    stack = sum(bool(trial.traces) for trial in tried.trials.values()) + sum(bool(each.traces) for each in refusals)
    halves = sum(bool(trial.halves) for trial in tried.trials.values())
    say(
        f"mutations: {len(cases)}, refused {ends['refused']}, converged {ends[CONVERGED]}, "
        f"rolled back {ends[ROLLED_BACK]}, with a host out of reach {ends[OUT_OF_REACH]}, "
        f"stack traces {stack}, half states {halves} "
        f"(run for real: {len(tried.trials)} wanted states, {len(refusals)} refusals)"
    )
    assert sum(ends.values()) == len(cases)
