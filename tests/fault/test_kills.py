# SPDX-License-Identifier: MIT
"""Modules killed on their hosts before each of their system calls, and controllers between tasks; then one more run."""

from __future__ import annotations

import concurrent.futures
import typing as t
from pathlib import Path

import pytest

from tests.fault.conftest import SEED, SHARE
from tests.fault.ground import Ground
from tests.fault.kills.controller import Controllers, Killer
from tests.fault.kills.story import Told, kill_modules

if t.TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent / "kills"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, say: Callable[[str], None]) -> tuple[Told, Controllers]:
    """The share of all points, on two meshes side by side: there, modules are killed, and here, controllers."""
    works = tmp_path_factory.mktemp("modules"), tmp_path_factory.mktemp("controllers")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        modules = pool.submit(kill_all_modules, works[0])
        controllers = pool.submit(kill_all_controllers, works[1])
    say(modules.result().summary())
    say(controllers.result().summary())
    return modules.result(), controllers.result()


def kill_all_modules(work: Path) -> Told:
    with Ground(work, str(HERE / "fleet.yml")).anew() as ground:
        return kill_modules(ground, SHARE, SEED)


def kill_all_controllers(work: Path) -> Controllers:
    with Ground(work, str(HERE / "controller.yml")).anew() as ground:
        return Killer(ground, work, SHARE, SEED).run()


@pytest.fixture(scope="module")
def kills(both: tuple[Told, Controllers]) -> Told:
    return both[0]


@pytest.fixture(scope="module")
def controllers(both: tuple[Told, Controllers]) -> Controllers:
    return both[1]


def test_agents_come_to_their_end(kills: Told) -> None:
    assert kills.lines("broken") == []


def test_without_kills_a_state_is_always_the_same(kills: Told) -> None:
    assert kills.lines("unsteady", "stays wrong") == []


def test_there_are_more_than_a_thousand_points(kills: Told) -> None:
    assert kills.most >= 1000


def test_every_point_kills_a_module(kills: Told) -> None:
    assert len(kills.lines("point")) == kills.chosen


def test_no_kill_tears_a_file(kills: Told) -> None:
    assert kills.torn == []


def test_one_run_after_a_kill_reaches_what_an_undisturbed_run_does(kills: Told) -> None:
    assert kills.wrong == []


def test_after_all_kills_the_mesh_is_what_it_was(kills: Told) -> None:
    assert kills.moved == []


def test_every_point_kills_a_controller(controllers: Controllers) -> None:
    assert controllers.killed == controllers.points


def test_one_run_after_a_controller_is_killed_reaches_what_an_undisturbed_run_does(controllers: Controllers) -> None:
    assert controllers.wrong == []
