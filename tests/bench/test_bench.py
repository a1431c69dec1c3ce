# SPDX-License-Identifier: MIT
"""What a run costs, against a playbook with a task for each thing that leaves the same on the same hosts.

The tests are in the order in which the fleet is used up: what ours has built, then bare hosts again for the rival.
WONDER_MESH_BENCH_PAIRS is the number of pairs without a change (default 5), and for every five there is
one pair of first runs.
"""

from __future__ import annotations

import shutil
import subprocess
import time
import typing as t

import pytest

from tests.bench.conftest import PAIRS
from tests.bench.ground import HERE, ROOT, changed, shown
from tests.bench.ratios import Count, Ratio
from tests.fleet.wire import Wire

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.bench.ground import Ground
    from tests.bench.meter import Cost

    Figure = Callable[[object], None]
    Pairs = list[tuple[Cost, Cost]]

UNITS = {"caddy.service", "headscale.service", "mesh-probe.socket", "tailscaled.service"}
NEWCOMER = "box-1"
BYTES = 400_000
CPU = 5.0  # times as much, at least
FLOOR = 3.0  # times as much as the least that Ansible can do, at most
DEMO_SECONDS = 1800


@pytest.fixture(scope="session")
def built(ground: Ground) -> Cost:
    """A mesh that ours has built, from bare hosts."""
    ground.bare()
    return told("ours, first run", ground.ours())


@pytest.fixture(scope="session")
def idle(ground: Ground, built: Cost) -> Pairs:
    """Runs of both on it, by turns."""
    assert built.status == 0
    return [(told("ours", ground.ours()), told("rival", ground.rival())) for _ in range(PAIRS)]


@pytest.fixture(scope="session")
def floor(ground: Ground, built: Cost) -> Pairs:
    """Runs that do the least that Ansible can do for these hosts, and runs of ours, by turns."""
    assert built.status == 0
    least = [str(HERE / "floor.yml")]
    return [(told("least", ground.ours(playbooks=least)), told("ours", ground.ours())) for _ in range(PAIRS)]


@pytest.fixture(scope="session")
def added(ground: Ground, idle: Pairs) -> Cost:
    """A run for a mesh that has all nodes but one."""
    assert idle
    ground.ours("--limit", NEWCOMER, "--extra-vars", '{"mesh_remove_data": true}', playbooks=["playbooks/remove.yml"])
    return told("ours, one node more", ground.ours())


@pytest.fixture(scope="session")
def firsts(ground: Ground, built: Cost, added: Cost) -> Pairs:
    """First runs of both; the hosts are as the last of the rival's has left them."""
    assert added.status == 0
    pairs = []
    for number in range(max(1, PAIRS // 5)):
        if number:
            ground.bare()
            built = told("ours, first run", ground.ours())
        ground.bare()
        pairs.append((built, told("rival, first run", ground.rival())))
    return pairs


def told(what: str, cost: Cost) -> Cost:
    print(f"{what}: {cost}")
    return cost


def ratio(name: str, pairs: Pairs, of: str) -> Ratio:
    """How much more the second of each pair takes."""
    return Ratio(name, [getattr(more, of) / getattr(less, of) for less, more in pairs])


# The same work.


def test_the_rival_finds_nothing_to_change_in_what_ours_has_built(idle: Pairs) -> None:
    assert [set(changed(rival).values()) for _ours, rival in idle] == [{0}] * PAIRS


def test_ours_finds_nothing_to_change_after_the_rival_has_run(idle: Pairs) -> None:
    assert [set(changed(ours).values()) for ours, _rival in idle] == [{0}] * PAIRS


# Without a change.


def test_a_run_that_changes_nothing_takes_a_fraction_of_the_rivals_cpu_time(idle: Pairs, figure: Figure) -> None:
    found = ratio("noop_cpu_ratio", idle, "cpu")
    figure(found)
    figure(ratio("noop_wall_ratio", idle, "wall"))
    assert found.interval[1] >= CPU


def test_a_run_that_changes_nothing_is_not_far_from_the_least_that_ansible_can_do(floor: Pairs, figure: Figure) -> None:
    found = ratio("noop_floor_ratio", floor, "cpu")
    figure(found)
    assert found.interval[0] <= FLOOR


def test_a_run_that_changes_nothing_sends_little(ground: Ground, idle: Pairs, figure: Figure, tmp_path: Path) -> None:
    assert idle
    wire = Wire(ground.prefix, ground.hosts)
    with wire.counting():
        wire.reset()
        ground.ours("--extra-vars", f"mesh_result_file={tmp_path}/result.json", playbooks=["site.yml"])
        seen = wire.read()
    most, calls = max(each.bytes for each in seen.values()), max(each.calls for each in seen.values())
    figure(Count("noop_bytes", most, "sent to the host that gets most, proof included"))
    figure(Count("noop_calls", calls, "made to the host that gets most, proof included"))
    assert most <= BYTES
    assert calls == 2


# With one.


def test_a_node_is_added_for_less_than_the_mesh_was_built_for(built: Cost, added: Cost, figure: Figure) -> None:
    found = Ratio("add_node_ratio", [added.cpu / built.cpu])
    figure(found)
    assert changed(added)[NEWCOMER] > 0
    assert found.median < 1


def test_a_first_run_takes_less_cpu_time_than_the_rivals(firsts: Pairs, figure: Figure) -> None:
    found = ratio("first_cpu_ratio", firsts, "cpu")
    figure(found)
    figure(ratio("first_wall_ratio", firsts, "wall"))
    assert found.interval[1] > 1


def test_ours_leaves_all_files_as_the_rival_has_made_them(ground: Ground, firsts: Pairs) -> None:
    # It starts what it has not started itself, since it cannot know what that runs with.
    assert firsts
    assert shown(ground.ours("--diff")) == UNITS


# For information.


def test_the_demo_is_timed(figure: Figure, tmp_path: Path) -> None:
    # A copy, so that a demo that somebody has running is left alone.
    topology = shutil.copy(ROOT / "fleet" / "topologies" / "demo.yml", tmp_path)
    demo, started = [str(ROOT / "demo.sh"), "--topology", str(topology)], time.monotonic()
    try:
        subprocess.run([*demo, "up"], check=True, capture_output=True, timeout=DEMO_SECONDS)
        figure(Count("demo_seconds", round(time.monotonic() - started), "from nothing to the proof, with warm caches"))
    finally:
        subprocess.run([*demo, "down"], check=True, capture_output=True, timeout=DEMO_SECONDS)
