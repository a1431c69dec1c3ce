# SPDX-License-Identifier: MIT
"""On plain WireGuard: modules killed on their hosts before each of their system calls, controllers between tasks."""

from __future__ import annotations

import typing as t

import pytest

from tests.fault.conftest import SEED, SHARE
from tests.fault.kills.wireguard import Mesh, WireGuardKiller, fleet, kill_modules

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fault.kills.controller import Controllers
    from tests.fault.kills.story import Told


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    with fleet(tmp_path_factory.mktemp("ground")) as made:
        yield made


@pytest.fixture(scope="module")
def kills(mesh: Mesh, tmp_path_factory: pytest.TempPathFactory, say: Callable[[str], None]) -> Told:
    told = kill_modules(mesh, tmp_path_factory.mktemp("modules"), SHARE, SEED)
    say(f"plain WireGuard: {told.summary()}")
    return told


@pytest.fixture(scope="module")
def controllers(
    mesh: Mesh, kills: Told, tmp_path_factory: pytest.TempPathFactory, say: Callable[[str], None]
) -> Controllers:
    assert kills.lines("point")  # they come first
    killer = WireGuardKiller(mesh, tmp_path_factory.mktemp("controllers"), SHARE, SEED)
    killer.prepare()
    found = killer.run()
    say(f"plain WireGuard: {found.summary()}")
    return found


def test_agents_come_to_their_end(kills: Told) -> None:
    assert kills.lines("broken") == []


def test_without_kills_a_state_is_always_the_same(kills: Told) -> None:
    assert kills.lines("unsteady", "stays wrong") == []


def test_there_are_more_than_two_hundred_points(kills: Told) -> None:
    assert kills.most >= 200


def test_every_point_kills_a_module(kills: Told) -> None:
    assert len(kills.lines("point")) == kills.chosen


def test_no_kill_tears_a_file(kills: Told) -> None:
    assert kills.torn == []


def test_no_interface_goes_down_when_its_peers_or_settings_change(kills: Told) -> None:
    changes = [each for each in kills.lines("point") if "peer" in each["way"] or "settings" in each["way"]]
    assert {each["way"] for each in changes if each["down"]} == set()
    assert changes


def test_one_run_after_a_kill_loses_no_key_and_reaches_what_an_undisturbed_run_does(kills: Told) -> None:
    assert kills.wrong == []


def test_after_all_kills_the_mesh_is_what_it_was(kills: Told) -> None:
    assert kills.moved == []


def test_every_point_kills_a_controller(controllers: Controllers) -> None:
    assert controllers.killed == controllers.points > 0


def test_one_run_after_a_controller_is_killed_reaches_what_an_undisturbed_run_does(controllers: Controllers) -> None:
    assert controllers.wrong == []
