# SPDX-License-Identifier: MIT
"""The plan of namespaces and links."""

from __future__ import annotations

import typing as t

from fleet import nat, topology
from fleet.network import Plan

if t.TYPE_CHECKING:
    from pathlib import Path

PLAN = Plan("wm123abc", topology.load("demo", nat.KINDS))


def test_there_is_a_namespace_for_each_host_each_router_and_the_internet() -> None:
    assert sorted(PLAN.namespaces()) == sorted(
        [f"wm123abc-{host}" for host in ("hub", "edge", "stranger", "mini-1", "mini-2", "nas", "laptop")]
        + [f"wm123abc.{switch}" for switch in ("internet", "attic", "cabin", "office")]
    )


def test_a_host_at_home_has_one_link_and_it_ends_at_its_router() -> None:
    links = [link for link in PLAN.links if "wm123abc-nas " in link]
    assert len(links) == 1
    assert links[0].endswith("netns wm123abc.cabin")
    assert "route add default via 192.168.1.1" in PLAN.inside["wm123abc-nas"]


def test_a_carrier_s_router_stands_between_a_home_and_the_internet(tmp_path: Path) -> None:
    path = tmp_path / "van.yml"
    path.write_text(
        "domain: wm.test\npublic: {hub: {groups: [nodes]}}\n"
        "homes: {road: {nat: cgnat, hosts: {van: {groups: [nodes]}}}}\n"
    )
    plan = Plan("wm123abc", topology.load(str(path), nat.KINDS))
    ends = {(link.split()[4], link.split()[11]) for link in plan.links}
    assert ("wm123abc.road", "wm123abc.road.carrier") in ends
    assert ("wm123abc.road.carrier", "wm123abc.internet") in ends
    assert ("wm123abc.road", "wm123abc.internet") not in ends
    assert "route add default via 100.64.0.1" in plan.inside["wm123abc.road"]


def test_no_link_ends_in_the_machines_own_namespace() -> None:
    assert all(link.count(" netns ") == 2 for link in PLAN.links)


def test_no_interface_has_a_name_that_is_too_long() -> None:
    names = [word for link in PLAN.links for word in (link.split()[2], link.split()[9])]
    assert max(len(name) for name in names) <= 15
