# SPDX-License-Identifier: MIT
"""Real nodes behind every kind of NAT, each against each: all talk, and directly exactly where theory says."""

from __future__ import annotations

import itertools
import json
import typing as t
from pathlib import Path

import pytest
from relay_world import reach
from world import Fleet, run, wait_until

from ansible_collections.wonder.mesh.plugins.plugin_utils._paths import predict_kinds

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOPOLOGY = str(Path(__file__).with_name("matrix.yml"))
KINDS = ("public", "easy", "hard", "full-cone", "cgnat", "udp-blocked")
CELLS = [*itertools.product(KINDS, repeat=2)]
RELAYS = ("public-1", "public-2")
HIDDEN = ("hard-1", "udp-blocked-1")
AT_ONCE = "4"  # hosts that measure; each exchanges a mebibyte with eleven others, and all share the machine
MOVE_SECONDS = 30  # until a node is at home at another relay
TALK_SECONDS = 10


@pytest.fixture(scope="module")
def mesh(request: pytest.FixtureRequest) -> Iterator[Fleet]:
    world = Fleet(TOPOLOGY)
    was_up = world.is_up()
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        world.make()
    try:
        assert world.play("site.yml", "--skip-tags", "verify").status == 0
        world.play("playbooks/verify.yml", "--forks", AT_ONCE)  # its result is for the tests to judge
        yield world
    finally:
        if not was_up:
            world.down()


@pytest.fixture(scope="module")
def paths(mesh: Fleet) -> dict[tuple[str, str], dict[str, t.Any]]:
    """The proof's paths, by both ends."""
    return {(path["from"], path["to"]): path for path in mesh.result["paths"]}


def test_the_matrix_is_whole(paths: dict[tuple[str, str], t.Any]) -> None:
    hosts = [f"{kind}-{number}" for kind in KINDS for number in (1, 2)]
    assert set(paths) == {*itertools.permutations(hosts, 2)}


@pytest.mark.parametrize(("one", "other"), CELLS)
def test_a_cell_of_the_matrix_carries_tcp_by_the_path_that_theory_says(
    paths: dict[tuple[str, str], dict[str, t.Any]],
    one: str,
    other: str,
    record_property: Callable[[str, object], None],
) -> None:
    cell = [path for ends, path in paths.items() if [end[:-2] for end in ends] in ([one, other], [other, one])]
    seen = {(path["predicted"], path["observed"]) for path in cell}
    record_property("paths", ", ".join(sorted(observed for _, observed in seen)))
    assert [path for path in cell if not path["ok"]] == []
    assert seen == {(predict_kinds(one, other),) * 2}


@pytest.mark.parametrize("relay", RELAYS)
def test_a_relay_of_each_kind_carries_the_matrix(mesh: Fleet, relay: str) -> None:
    """Nodes that need a relay are told to be at home at this one."""
    for node in HIDDEN:
        regions = json.loads(run(mesh.host(node), "timeout 20 tailscale debug derp-map").stdout)["Regions"]
        (number,) = (key for key, region in regions.items() if region["RegionCode"] == relay)
        assert run(mesh.host(node), f"timeout 20 tailscale debug force-prefer-derp {number}").rc == 0

    def home(node: str) -> str:
        said = run(
            mesh.host(node), "timeout 20 tailscale debug restun; timeout 20 tailscale status --json --peers=false"
        )
        return str(json.loads(said.stdout)["Self"]["Relay"])

    wait_until(MOVE_SECONDS, lambda: [home(node) for node in HIDDEN] == [relay, relay])
    took = reach(mesh, HIDDEN, TALK_SECONDS)
    assert [pair for pair in itertools.permutations(HIDDEN, 2) if took[pair] > TALK_SECONDS] == []
