# SPDX-License-Identifier: MIT
"""Which hub two nodes use for each other, whatever way to a hub is broken."""

from __future__ import annotations

import typing as t

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_hubs import (
    ANSWERS,
    EVERY,
    LONGEST,
    MISSES,
    REMEMBERED,
    Board,
    Pulse,
    choose,
    moved_networks,
    pages,
)

HUBS = ["hub-1", "hub-2", "hub-3"]
NODES = {"attic": "10.77.1.1", "barn": "10.77.1.2"}
POOL = "10.77.0.0/16"


def peer(name: str, *networks: str) -> dict[str, t.Any]:
    return {"name": name, "allowed_ips": list(networks)}


def node_table(*hubs: str) -> dict[str, t.Any]:
    rows = [peer(hub, f"10.77.0.{number}/32") for number, hub in enumerate(HUBS, 1) if hub in hubs]
    rows[0]["allowed_ips"].append(POOL)
    return {"peers": rows, "relayed": [{"networks": [POOL], "hubs": list(hubs)}]}


def hub_table() -> dict[str, t.Any]:
    return {"peers": [peer(name, f"{address}/32") for name, address in NODES.items()], "relayed": []}


class World:
    """Nodes that probe hubs, and hubs that answer, all at once; ``broken`` has ways between a node and a hub."""

    def __init__(self, broken: set[tuple[str, str]]) -> None:
        self.broken = broken
        self.boards = {hub: Board(hub_table()) for hub in HUBS}
        self.pulses = {(node, hub): Pulse() for node in NODES for hub in HUBS}
        self.heard: dict[tuple[str, str], dict[str, list[str]]] = {}
        self.now = 0.0

    def round(self) -> None:
        for (node, hub), pulse in self.pulses.items():
            answers = (node, hub) not in self.broken
            self.heard[node, hub] = {}
            if answers:
                self.boards[hub].hear(NODES[node], self.silent(node), self.now)
                self.heard[node, hub] = self.boards[hub].reports(node, self.now)
            pulse.count(answers)
        self.now += EVERY

    def silent(self, node: str) -> list[str]:
        return [hub for hub in HUBS if self.pulses[node, hub].silent]

    def used(self, node: str, other: str) -> str:
        """The hub to which the node's WireGuard gives what it sends to the other, and from which it takes that."""
        reports: dict[str, list[str]] = {}
        for hub in HUBS:
            for net, silent in self.heard[node, hub].items():
                reports[net] = sorted({*reports.get(net, []), *silent})
        moved = moved_networks(node_table(*HUBS), {"silent": self.silent(node), "reports": reports})
        return moved.get(f"{NODES[other]}/32", moved.get(POOL, HUBS[0]))


@settings(max_examples=3 * settings().max_examples)
@given(st.sets(st.tuples(st.sampled_from(sorted(NODES)), st.sampled_from(HUBS))))
def test_both_sides_use_one_hub_that_both_reach_whatever_way_is_broken(broken: set[tuple[str, str]]) -> None:
    world = World(broken)
    for _ in range(MISSES + 2):
        world.round()
    whole = [hub for hub in HUBS if all((node, hub) not in broken for node in NODES)]
    if whole:
        assert (world.used("attic", "barn"), world.used("barn", "attic")) == (whole[0], whole[0])


@given(st.sets(st.tuples(st.sampled_from(sorted(NODES)), st.sampled_from(HUBS))))
def test_all_is_as_before_when_all_ways_are_whole_again(broken: set[tuple[str, str]]) -> None:
    world = World(broken)
    for _ in range(MISSES + 2):
        world.round()
    world.broken = set()
    for _ in range(ANSWERS + int(REMEMBERED / EVERY) + 2):
        world.round()
    assert (world.used("attic", "barn"), world.used("barn", "attic")) == (HUBS[0], HUBS[0])


def test_a_hub_is_silent_after_some_misses_in_a_row_only() -> None:
    pulse = Pulse()
    for _ in range(10):
        for answered in [*[False] * (MISSES - 1), True]:
            pulse.count(answered)
    assert not pulse.silent
    for _ in range(MISSES):
        pulse.count(False)
    assert pulse.silent


def test_a_hub_that_was_silent_must_answer_some_times_in_a_row() -> None:
    pulse = Pulse()
    for _ in range(MISSES):
        pulse.count(False)
    for answered in [*[True] * (ANSWERS - 1), False, *[True] * (ANSWERS - 1)]:
        pulse.count(answered)
    assert pulse.silent
    pulse.count(True)
    assert not pulse.silent


def test_a_silent_hub_is_noticed_within_ten_seconds() -> None:
    pulse, passed = Pulse(), 0.0
    while not pulse.silent:
        passed += pulse.pause
        pulse.count(False)
    assert passed < 10


def test_when_all_hubs_are_silent_nothing_moves() -> None:
    assert moved_networks(node_table(*HUBS), {"silent": HUBS, "reports": {}}) == {}
    assert choose(HUBS, HUBS) == HUBS[0]


def test_what_is_said_of_a_direct_peer_moves_nothing() -> None:
    table = node_table(*HUBS)
    table["peers"].append(peer("near", "10.77.1.9/32"))
    assert moved_networks(table, {"silent": [], "reports": {"10.77.1.9/32": ["hub-1"]}}) == {}


def test_what_is_said_of_no_network_behind_hubs_moves_nothing() -> None:
    assert moved_networks(node_table(*HUBS), {"silent": [], "reports": {"192.0.2.0/24": ["hub-1"]}}) == {}


def test_a_node_speaks_for_its_own_networks_only() -> None:
    board = Board(
        {"peers": [peer("attic", "10.77.1.1/32", "192.168.5.0/24"), peer("barn", "10.77.1.2/32")], "relayed": []}
    )
    assert board.hear("10.77.9.9", ["hub-1"], 0) is None
    assert board.hear("10.77.1.1", ["hub-1"], 0) == "attic"
    assert board.reports("barn", 0) == {"10.77.1.1/32": ["hub-1"], "192.168.5.0/24": ["hub-1"]}


def test_what_a_node_said_is_forgotten_when_it_says_no_more() -> None:
    board = Board(hub_table())
    board.hear(NODES["attic"], ["hub-1"], 0)
    assert board.reports("barn", REMEMBERED - 1)
    assert board.reports("barn", REMEMBERED + 1) == {}


def test_what_all_know_already_is_not_said() -> None:
    board = Board(hub_table())
    for address in NODES.values():
        board.hear(address, ["hub-1"], 0)
    assert board.reports("barn", 1) == {}


def test_many_reports_fit_into_datagrams() -> None:
    reports = {f"10.77.{number // 256}.{number % 256}/32": ["hub-1", "hub-2"] for number in range(1000)}
    parts = pages(reports)
    assert {net: silent for part in parts for net, silent in part.items()} == reports
    assert max(len(repr(part)) for part in parts) < LONGEST


def test_no_report_is_one_datagram() -> None:
    assert pages({}) == [{}]
