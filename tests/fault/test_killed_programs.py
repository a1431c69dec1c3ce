# SPDX-License-Identifier: MIT
"""What makes hosts, and what provisions them, killed in each of its phases; then the same once more."""

from __future__ import annotations

import collections
import contextlib
import random
import re
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from fleet import leftovers
from fleet.state import State, prefix_of
from tests.fault.conftest import SEED, SHARE
from tests.fault.ground import ROOT, Ground
from tests.fault.killed_fleet import PHASES

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
TOPOLOGY = str(HERE / "killed.yml")
KILLED = -9
SECONDS = 300
GONE_SECONDS = 120  # what a module does on a host at that moment it does to the end, and holds the inventory's lock
PLAY = re.compile(r"^ *[\d.]+ s  (\S.*)$")  # as examples/provision.py says that it has begun


def fleet(verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fleet", verb, "--topology", TOPOLOGY, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)


def up(*point: object) -> subprocess.CompletedProcess[str]:
    """`fleet up`, killed before that step of a phase."""
    command = [sys.executable, str(HERE / "killed_fleet.py"), TOPOLOGY, *map(str, point)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.fixture(scope="module")
def steps() -> Iterator[dict[str, int]]:
    """How many `up` has of each phase."""
    fleet("down")
    said = up()
    assert said.returncode == 0, said.stderr
    found = collections.Counter(re.findall(r"^STEP (\S+) ", said.stdout, re.MULTILINE))
    found["wait"] = min(found["wait"], 1)  # the hosts decide how often they are asked
    fleet("down")
    yield dict(found)
    fleet("down")


@pytest.fixture(scope="module")
def points(steps: dict[str, int]) -> list[tuple[str, list[int]]]:
    """Some steps of each phase, counted from 1."""
    choose = random.Random(SEED)  # noqa: S311
    return [
        (name, sorted(choose.sample(range(1, number + 1), max(1, round(number * SHARE)))))
        for name, number in sorted(steps.items())
    ]


@pytest.fixture
def nothing() -> Iterator[None]:
    """There is no such fleet, before and after."""
    fleet("down")
    yield
    fleet("down")


def test_up_has_the_phases_that_are_killed(steps: dict[str, int]) -> None:
    assert sorted(steps) == sorted(PHASES.values())


@pytest.mark.usefixtures("nothing")
def test_a_fleet_whose_maker_was_killed_comes_up_whole_the_next_time(
    steps: dict[str, int], points: list[tuple[str, list[int]]], say: Callable[[str], None]
) -> None:
    told = ", ".join(f"{name} {len(chosen)} of {steps[name]}" for name, chosen in points)
    say(f"fleet up: killed before its steps, by phase: {told}")
    for name, chosen in points:
        for number in chosen:
            assert up(name, number).returncode == KILLED, (name, number)
            again = fleet("up")
            assert again.returncode == 0, f"before step {number} of {name}: {again.stderr}"
            assert fleet("status").returncode == 0, (name, number)
            assert fleet("ssh", "box", "true").returncode == 0, (name, number)
            fleet("down")


@pytest.mark.usefixtures("nothing")
def test_down_leaves_nothing_of_a_fleet_whose_maker_was_killed(points: list[tuple[str, list[int]]]) -> None:
    prefix = prefix_of(TOPOLOGY)
    for name, chosen in points:
        assert up(name, chosen[-1]).returncode == KILLED, name
        assert fleet("down").returncode == 0, name
        left = leftovers.machines(prefix), leftovers.namespaces(prefix), processes(prefix), State(prefix).path.exists()
        assert left == ([], [], [], False), name


def processes(*words: str) -> list[str]:
    """The command lines that name all of these."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has just ended
            lines.append(path.read_text(encoding="utf-8", errors="replace").replace("\0", " "))
    return [line for line in lines if all(word in line for word in words)]


# ansible-runner run, by the program that people copy.


class Killed(t.NamedTuple):
    """A run: the play in which it was killed, or none; its exit status; what went on of it for too long."""

    play: str | None
    status: int
    left: list[str]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, say: Callable[[str], None]) -> list[Killed]:
    """On bare hosts: each is killed in the first play that none before it has come to, until one comes to its end."""
    done: list[Killed] = []
    with Ground(tmp_path_factory.mktemp("killed"), TOPOLOGY).anew() as hosts:
        while not done or done[-1].play:
            done.append(provision(hosts.inventory_file, {each.play for each in done}))
    say(f"ansible-runner run: killed in each of {len(done) - 1} plays")
    return done


def provision(inventory: Path, known: set[str | None]) -> Killed:
    command = [sys.executable, str(ROOT / "examples" / "provision.py"), "--inventory", str(inventory)]
    play = None
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in t.cast("t.IO[str]", process.stdout):
            print(line, end="")
            if play:
                process.send_signal(signal.SIGKILL)
                break
            found = PLAY.match(line)
            if found and found[1] not in known:
                play = found[1]
        process.communicate(timeout=SECONDS)
    until = time.monotonic() + GONE_SECONDS
    while (left := processes("ansible-playbook", str(inventory))) and time.monotonic() < until:
        time.sleep(0.2)
    return Killed(play, process.returncode, left)


def test_it_is_killed_in_every_play(runs: list[Killed]) -> None:
    assert {each.status for each in runs[:-1]} == {KILLED}
    assert runs[-2].play == "Prove that the mesh keeps its promises"


def test_nothing_goes_on_of_a_run_that_was_killed(runs: list[Killed]) -> None:
    assert [each for each in runs if each.left] == []


def test_the_run_after_all_of_them_keeps_every_promise(runs: list[Killed]) -> None:
    assert runs[-1].status == 0
