# SPDX-License-Identifier: MIT
"""`fleet up` of virtual machines, killed before its steps: the next one ends whole, `down` leaves nothing."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from lima_world import NAMES, World, program

SECONDS = 60
KILLED = -9
TRIES = 8


def run(world: World, verb: str, last: int = -1) -> subprocess.CompletedProcess[str]:
    return subprocess.run(program(world, verb, last), capture_output=True, text=True, timeout=SECONDS, check=False)


def anew(world: World) -> None:
    shutil.rmtree(world.place / "root", ignore_errors=True)


@pytest.fixture
def points(world: World) -> list[int]:
    """Steps of `up`, evenly spread from its first to its last."""
    said = run(world, "up", 0)
    assert said.returncode == 0, said.stderr
    count = len(re.findall(r"^STEP ", said.stdout, re.MULTILINE))
    anew(world)
    return [1 + round(number * (count - 1) / (TRIES - 1)) for number in range(TRIES)]


def test_up_after_one_that_was_killed_at_any_step_ends_whole(world: World, points: list[int]) -> None:
    for point in points:
        assert run(world, "up", point).returncode == KILLED, point
        again = run(world, "up")
        assert again.returncode == 0, f"after step {point}: {again.stderr}"
        told = run(world, "status")
        assert sorted(line.split()[0] for line in told.stdout.splitlines() if "running" in line) == [
            *NAMES[:3],
            "stranger",
            *NAMES[3:],
        ], point
        assert (world.place / "root/wm123abc/inventory/hosts.yml").exists(), point
        anew(world)


def test_down_after_one_that_was_killed_at_any_step_leaves_nothing(world: World, points: list[int]) -> None:
    for point in points:
        assert run(world, "up", point).returncode == KILLED, point
        down = run(world, "down")
        assert down.returncode == 0, f"after step {point}: {down.stderr}"
        assert not (world.place / "root").exists(), point
