# SPDX-License-Identifier: MIT
"""The run goes over the mesh itself, and changes what carries it: no host is lost."""

from __future__ import annotations

import typing as t

import pytest

from tests.fault.conftest import SEED, SHARE
from tests.fault.tries import HOSTS, Try, choose
from tests.fault.tunnel import Outcome, Tunnel

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AWAY = 60 + 5  # seconds; it is asked every second, and an attempt may take five


@pytest.fixture(scope="module")
def tunnel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tunnel]:
    fleet = Tunnel(tmp_path_factory.mktemp("tunnel"))
    fleet.begin()
    yield fleet
    fleet.down()


@pytest.fixture(scope="module")
def tried(say: Callable[[str], None]) -> Iterator[list[Outcome]]:
    """All that was tried."""
    outcomes: list[Outcome] = []
    yield outcomes
    lost = sum(away > AWAY for outcome in outcomes for away in outcome.away.values())
    say(f"the controller's own tunnel: {lost} hosts lost in {len(outcomes) * len(HOSTS)} tries")


@pytest.fixture(scope="module", params=choose(SEED, SHARE), ids=str)
def made(request: pytest.FixtureRequest, tunnel: Tunnel, tried: list[Outcome]) -> tuple[Try, Outcome]:
    tried.append(tunnel.attempt(request.param))
    return request.param, tried[-1]


def test_no_host_is_away_for_longer_than_a_minute(made: tuple[Try, Outcome]) -> None:
    _each, outcome = made
    assert {host: away for host, away in outcome.away.items() if away > AWAY} == {}


def test_a_change_that_works_is_kept(made: tuple[Try, Outcome]) -> None:
    each, outcome = made
    assert [host for host in each.kept if not outcome.changed[host]] == []


def test_a_change_that_works_fails_no_run(made: tuple[Try, Outcome]) -> None:
    each, outcome = made
    assert [line for line in outcome.said.failures() if line.split(":")[0] in each.kept] == []


def test_a_change_that_cuts_off_is_taken_back_byte_for_byte(made: tuple[Try, Outcome]) -> None:
    each, outcome = made
    assert {host: outcome.changed[host] for host in each.taken_back if outcome.changed[host]} == {}


def test_a_run_says_that_its_change_was_taken_back(made: tuple[Try, Outcome]) -> None:
    each, outcome = made
    where = ["vps"] if each.is_policy else each.taken_back
    said = outcome.said.failures()
    assert [
        host for host in where if not any(line.startswith(f"{host}:") and "put back" in line for line in said)
    ] == []


def test_the_next_run_finds_the_state_whole_old_or_new(made: tuple[Try, Outcome]) -> None:
    _each, outcome = made
    assert (outcome.again.failures(), outcome.again.headers()) == ([], {})


def test_a_run_after_a_killed_one_makes_the_same_change(made: tuple[Try, Outcome]) -> None:
    _each, outcome = made
    assert outcome.repaired.failures() == []


def test_nothing_is_left_of_a_trial(made: tuple[Try, Outcome]) -> None:
    _each, outcome = made
    assert outcome.left == {}
