# SPDX-License-Identifier: MIT
"""What the fleet's routers do to packets, measured with sockets in the namespaces of hosts that were never booted."""

from __future__ import annotations

import itertools
import typing as t
from pathlib import Path

import nat_world
import pytest
from nat_world import KINDS, LOSS, World

from ansible_collections.wonder.mesh.plugins.plugin_utils._paths import kinds_behind, predict_kinds
from fleet import leftovers, machine, network, topology
from fleet.nat import KINDS as ROUTERS
from fleet.state import prefix_of

if t.TYPE_CHECKING:
    from collections.abc import Iterator

HOMES = [kind for kind in KINDS if kind != "public"]
OPEN = [kind for kind in HOMES if kind != "udp-blocked"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    file = tmp_path_factory.mktemp("nats") / "nats.yml"
    file.write_text(nat_world.topology_text(), encoding="utf-8")
    prefix = prefix_of(str(Path(__file__).resolve()))
    leftovers.clean(prefix)
    with machine.locked():
        machine.prepare()
        network.make(prefix, topology.load(str(file), ROUTERS))
    found = World(prefix)
    yield found
    found.close()
    leftovers.clean(prefix)


def test_all_kinds_of_routers_are_measured() -> None:
    assert set(HOMES) == set(ROUTERS)


@pytest.mark.parametrize(
    ("kind", "ports"), [("easy", 1), ("full-cone", 1), ("hard", 3), ("cgnat", 3), ("udp-blocked", 0)]
)
def test_a_router_maps_an_inside_port_to_so_many_public_ones(world: World, kind: str, ports: int) -> None:
    with world.bound(f"{kind}-1") as inside:
        seen = {world.seen_by(server, inside) for server in world.servers} - {None}
    assert len(seen) == ports


@pytest.mark.parametrize(
    ("kind", "kinds"),
    [
        ("public", {"public", "easy", "full-cone"}),
        ("easy", {"public", "easy", "full-cone"}),
        ("full-cone", {"public", "easy", "full-cone"}),
        ("hard", {"hard", "cgnat"}),
        ("cgnat", {"hard", "cgnat"}),
        ("udp-blocked", {"udp-blocked"}),
    ],
)
def test_the_probe_tells_what_maps_alike_from_what_does_not(world: World, kind: str, kinds: set[str]) -> None:
    assert kinds_behind(world.mappings(f"{kind}-1")) == kinds


@pytest.mark.parametrize("kind", OPEN)
def test_only_a_full_cone_lets_in_whom_nobody_asked(world: World, kind: str) -> None:
    with world.bound(f"{kind}-1") as inside:
        asked, other_port, other_host = world.servers
        seen = world.seen_by(asked, inside)
        assert seen is not None
        arrived = {server for server in (asked, other_port, other_host) if world.arrives(server, seen, inside)}
    assert arrived == ({asked, other_port, other_host} if kind == "full-cone" else {asked})


def test_a_full_cone_is_closed_where_nobody_sends_from(world: World) -> None:
    with world.bound("full-cone-1") as inside:
        seen = world.seen_by(world.servers[0], inside)
        assert seen is not None
        assert not world.arrives(world.servers[0], (seen[0], 9), inside)


@pytest.mark.parametrize(("kind", "routers"), [(kind, 2 if kind == "cgnat" else 1) for kind in OPEN])
def test_a_carrier_is_a_second_router(world: World, kind: str, routers: int) -> None:
    with world.bound(f"{kind}-1") as inside:
        passed = [hops for hops in range(1, 5) if world.seen_by(world.servers[0], inside, hops) is not None]
    assert passed[0] == routers + 1


@pytest.mark.parametrize("kind", OPEN)
def test_two_homes_of_a_kind_are_two_addresses_of_the_internet(world: World, kind: str) -> None:
    with world.bound(f"{kind}-1") as one, world.bound(f"{kind}-2") as other:
        seen = [world.seen_by(world.servers[0], inside) for inside in (one, other)]
    assert len({place[0] for place in seen if place}) == 2


@pytest.mark.parametrize(("one", "other"), [*itertools.product(KINDS, repeat=2)])
def test_packets_alone_meet_as_foretold(world: World, one: str, other: str) -> None:
    """Both sides send to where a server saw the other, and to wherever something came from."""
    assert world.meet(f"{one}-1", f"{other}-2") == predict_kinds(one, other)


def test_two_hosts_of_a_full_cone_that_send_from_the_same_port_get_what_is_theirs(world: World) -> None:
    with world.bound("full-cone-1", 41641) as one, world.bound("full-cone-too", 41641) as other:
        seen = [(inside, world.seen_by(world.servers[0], inside)) for inside in (one, other)]
        arrived = [place is not None and world.arrives(world.servers[2], place, inside) for inside, place in seen]
    assert arrived == [True, True]


@pytest.mark.parametrize("inward", [True, False])
def test_a_home_with_losses_loses_as_many_in_each_direction(world: World, inward: bool) -> None:
    share = 100 * world.lost("lossy", inward=inward)
    assert LOSS - 8 < share < LOSS + 8  # more than five times the deviation of 1000 tries


def test_a_home_without_losses_loses_nothing(world: World) -> None:
    assert world.lost("easy-1", inward=False) == world.lost("easy-1", inward=True) == 0
