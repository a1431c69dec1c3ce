# SPDX-License-Identifier: MIT
"""Topologies: what a good one becomes, and that a bad one is refused with file, key and reason."""

from __future__ import annotations

import copy
import typing as t
from datetime import date
from pathlib import Path

import pytest
import yaml

from fleet import FleetError, nat, topology

if t.TYPE_CHECKING:
    from collections.abc import Callable

GOOD: dict[str, t.Any] = {
    "domain": "wm.test",
    "public": {"hub": {"groups": ["coordinator"]}, "edge": {"groups": ["gateways", "nodes"]}},
    "homes": {
        "attic": {
            "nat": "easy",
            "hosts": {
                "mini-1": {"groups": ["nodes"], "services": [{"name": "hello", "host": "hello.wm.test", "port": 8000}]},
                "mini-2": {"groups": ["nodes"]},
            },
        },
        "cabin": {"nat": "hard", "hosts": {"nas": {"groups": ["nodes"]}}},
    },
}


@pytest.fixture
def load(tmp_path: Path) -> Callable[[t.Any], topology.Topology]:
    """Write data to a file and load it."""

    def write_and_load(data: t.Any) -> topology.Topology:
        path = tmp_path / "world.yml"
        path.write_text(data if isinstance(data, str) else yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
        return topology.load(str(path), nat.KINDS)

    return write_and_load


def changed(path: str, value: t.Any) -> dict[str, t.Any]:
    """GOOD with one value set; `path` has slashes, and None removes the key."""
    data = copy.deepcopy(GOOD)
    *parents, last = path.split("/")
    place = data
    for parent in parents:
        place = place[parent]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return data


MINI = "homes/attic/hosts/mini-1"
SERVICE = {"name": "hello", "host": "hello.wm.test", "port": 8000}


@pytest.mark.parametrize(
    ("path", "value", "key", "reason"),
    [
        ("public/hub/adress", "203.0.113.9", "public.hub.adress", "unknown key (known here: groups, address"),
        ("home", {}, "home", "unknown key"),
        ("homes/attic/nat", None, "homes.attic.nat", "missing"),
        (
            "homes/attic/nat",
            "eazy",
            "homes.attic.nat",
            "unknown NAT kind 'eazy' (known: easy, hard, full-cone, cgnat, udp-blocked)",
        ),
        ("homes/attic/loss", 100, "homes.attic.loss", "100 is greater than the maximum of 99"),
        ("homes/attic/loss", -1, "homes.attic.loss", "-1 is less than the minimum of 0"),
        ("homes/attic/loss", 2.5, "homes.attic.loss", '2.5 is not of type "integer"'),
        ("homes/attic/hosts", {}, "homes.attic.hosts", "at least one host is needed"),
        (f"{MINI}/groups", ["node"], "homes.attic.hosts.mini-1.groups[0]", "unknown value 'node' (known: coordinator"),
        (f"{MINI}/groups", [], "homes.attic.hosts.mini-1.groups", "[] has less than 1 item"),
        ("homes/attic/hosts/Mini_3", {"groups": ["nodes"]}, "homes.attic.hosts.Mini_3", "not a DNS label"),
        ("homes/attic/hosts/-x", {"groups": ["nodes"]}, "homes.attic.hosts.-x", "not a DNS label"),
        ("homes/attic/hosts/" + "x" * 41, {"groups": ["nodes"]}, "x" * 41, "not a DNS label"),
        ("homes/At tic", GOOD["homes"]["cabin"], "homes.At tic", "not a DNS label"),
        ("homes/cabin/hosts/hub", {"groups": ["nodes"]}, "homes.cabin.hosts.hub", "'hub' is taken by public.hub"),
        ("homes/cabin/hosts/mini-1", {"groups": ["nodes"]}, "homes.cabin.hosts.mini-1", "is taken by homes.attic"),
        ("public/hub/address", "203.0.113.300", "public.hub.address", "not an IPv4 address"),
        ("public/hub/address", "198.51.100.1", "public", "of hub is not in 203.0.113.0/24"),
        ("public/hub/address", "203.0.113.1", "public", "of hub is taken by the gateway"),
        (f"{MINI}/address", "192.168.1.255", "homes.attic.hosts", "of mini-1 is taken by broadcast"),
        ("homes/attic/network", "192.168.1.0/28", "homes.attic.network", "is too small"),
        ("homes/attic/network", "192.168.1.5/24", "homes.attic.network", "not an IPv4 network"),
        ("homes/attic/network", "home", "homes.attic.network", "not an IPv4 network"),
        ("internet", "10.0.0.0/33", "internet", "not an IPv4 network"),
        ("domain", "WM", "domain", "'WM' is not a domain name"),
        ("user", "admin", "user", "unknown value 'admin' (known: root, ops)"),
        ("vars", {"mesh-domain": "x"}, "vars.mesh-domain", "not a name of a variable"),
        (f"{MINI}/services", [SERVICE, SERVICE], "homes.attic.hosts.mini-1.services", "the port 8000 is used 2 times"),
        (f"{MINI}/services", [SERVICE | {"port": 0}], "homes.attic.hosts.mini-1.services[0].port", "0 is less than"),
        (
            f"{MINI}/services",
            [SERVICE | {"host": date(2026, 1, 2)}],
            "services[0].host",
            "'2026-01-02' is not a domain name",
        ),
        ("vars", {8: "x"}, "vars.8", "not a name of a variable"),
        (f"{MINI}/services", [{"name": "x"}], "homes.attic.hosts.mini-1.services[0].port", "missing"),
        ("public/hub/services", [SERVICE], "public.hub.services", "only a host of the group nodes"),
    ],
)
def test_a_mistake_is_refused_with_file_key_and_reason(
    load: Callable[[t.Any], t.Any], path: str, value: t.Any, key: str, reason: str
) -> None:
    with pytest.raises(FleetError) as refused:
        load(changed(path, value))
    lines = str(refused.value).splitlines()
    assert any("world.yml: " in line and f"{key}: " in line and reason in line for line in lines), lines


def test_two_hosts_with_one_address_are_refused(load: Callable[[t.Any], t.Any]) -> None:
    data = changed("homes/attic/address", "203.0.113.30")
    data["public"]["edge"]["address"] = "203.0.113.30"
    with pytest.raises(FleetError, match=r"public: the address 203\.0\.113\.30 of attic's router is taken by edge"):
        load(data)


def test_all_mistakes_are_told_at_once(load: Callable[[t.Any], t.Any]) -> None:
    data = changed("homes/attic/nat", "x")
    data["homes"]["cabin"]["nat"] = "y"
    with pytest.raises(FleetError) as refused:
        load(data)
    assert len(str(refused.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "domain: wm.test\npublic:\n  hub: {groups: [nodes]}\n  hub: {groups: [nodes]}\n",
            "the key 'hub' is there twice",
        ),
        ("domain: [\n", "world.yml: while parsing"),
        ("[]\n", 'the file: [] is not of type "object"'),
        ("", 'the file: null is not of type "object"'),
    ],
)
def test_a_file_that_is_not_a_topology_is_refused_in_one_line(
    load: Callable[[t.Any], t.Any], text: str, reason: str
) -> None:
    with pytest.raises(FleetError) as refused:
        load(text)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_topology_names_those_that_there_are() -> None:
    known = "demo, demo-wireguard, molecule, molecule-relay, molecule-wireguard, one-vps"
    with pytest.raises(FleetError, match=f"known are {known}"):
        topology.load("moon", nat.KINDS)


def test_addresses_are_assigned_in_the_files_order(load: Callable[[t.Any], topology.Topology]) -> None:
    world = load(GOOD)
    assert {host.name: str(host.address) for host in world.hosts} == {
        "hub": "203.0.113.10",
        "edge": "203.0.113.11",
        "mini-1": "192.168.1.10",
        "mini-2": "192.168.1.11",
        "nas": "192.168.1.10",
    }
    assert [(home.name, str(home.address), str(home.router)) for home in world.homes] == [
        ("attic", "203.0.113.200", "192.168.1.1"),
        ("cabin", "203.0.113.201", "192.168.1.1"),
    ]


def test_a_home_loses_what_the_file_says_and_else_nothing(load: Callable[[t.Any], topology.Topology]) -> None:
    world = load(changed("homes/attic/loss", 10))
    assert {home.name: home.loss for home in world.homes} == {"attic": 10, "cabin": 0}


def test_an_address_that_the_file_gives_is_kept_and_not_given_twice(load: Callable[[t.Any], topology.Topology]) -> None:
    world = load(changed("public/edge/address", "203.0.113.10"))
    assert [str(host.address) for host in world.hosts[:2]] == ["203.0.113.11", "203.0.113.10"]


@pytest.mark.parametrize("name", sorted(path.stem for path in topology.TOPOLOGIES.glob("*.yml")))
def test_each_topology_of_the_repository_is_good(name: str) -> None:
    assert topology.load(name, nat.KINDS).in_group("strangers")
