# SPDX-License-Identifier: MIT
"""A fleet of its own, and rounds of drifts on it.

WONDER_MESH_FAULT_SHARE is the share of all cases to run (default 0.1), WONDER_MESH_FAULT_SEED chooses which.
"""

from __future__ import annotations

import os
import random
import typing as t

import pytest

from tests.fault.ground import Ground
from tests.fault.rounds import Bare, Rest, Round, play_round, seeds

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHARE = float(os.environ.get("WONDER_MESH_FAULT_SHARE", "0.1"))
SEED = os.environ.get("WONDER_MESH_FAULT_SEED", "1")
COUNTED = pytest.StashKey[list[str]]()
WAITING = ("test_reboots.py", "test_secrets.py", "test_tunnel.py", "test_wireguard_trial.py")


def share_of(number: int) -> list[int]:
    """Those of so many that are to be run."""
    return sorted(random.Random(SEED).sample(range(number), max(1, round(number * SHARE))))  # noqa: S311


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that wait for minutes come first, while other runs want the processors (see `fault` in test.sh)."""
    items.sort(key=lambda item: item.path.name not in WAITING)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(COUNTED, []):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Puts a line at the end of the report: what was counted."""
    return request.config.stash.setdefault(COUNTED, []).append


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Bare hosts, made anew."""
    with Ground(tmp_path_factory.mktemp("ground")).anew() as fleet:
        yield fleet


@pytest.fixture(scope="session")
def bare(ground: Ground) -> Bare:
    before = ground.look()
    foretold = ground.play("--check", playbooks=["site.yml"])
    return Bare(before, foretold, ground.look(), ground.play())


@pytest.fixture(scope="session")
def rounds(ground: Ground, say: Callable[[str], None]) -> Iterator[list[Round]]:
    """Those that were played."""
    played: list[Round] = []
    yield played
    drifts = [each for one in played for each in one.drifts]
    hosts = {each.host for each in drifts}
    say(f"check mode: {len(drifts)} drifts on {len(hosts)} hosts in {len(played)} rounds")


@pytest.fixture(scope="session", params=seeds(SEED, SHARE))
def drifted(request: pytest.FixtureRequest, ground: Ground, bare: Bare, rounds: list[Round]) -> Round:
    """One round; the seed in the name of a failed test repeats it."""
    assert bare.done
    rounds.append(play_round(ground, request.param))
    return rounds[-1]


@pytest.fixture(scope="session")
def rest(ground: Ground, bare: Bare) -> Rest:
    """A run when nothing has drifted since the last one."""
    assert bare.done
    before = ground.look()
    return Rest(before, ground.play(), ground.look())
