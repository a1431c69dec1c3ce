# SPDX-License-Identifier: MIT

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Broken
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_registry import Entry, Registry
from tests.unit.plugins.plugin_utils.wireguard_world import HOSTS, Hosts, changed, key, mistakes, read, registry


@pytest.mark.parametrize(
    ("host", "variable", "value", "reason"),
    [
        ("nas", "wireguard_port", 70000, "a port is a number from 1 to 65535"),
        ("nas", "wireguard_port", True, "a port is a number"),
        ("nas", "wireguard_port", Broken("'x' is undefined"), "'x' is undefined"),
        ("nas", "wireguard_extra_ports", [123, 123], "it is no list of UDP ports, each once"),
        ("nas", "wireguard_extra_ports", [51820], "wireguard_port is among them"),
        ("nas", "wireguard_outbound_ports", "123", "it is no list of UDP ports"),
        ("nas", "wireguard_mtu", 1279, "IPv6 needs 1280"),
        ("nas", "wireguard_mtu", 575, "it is no size from 576 to 9000"),
        ("nas", "wireguard_address_v4", "10.77.0.5/24", "it is no IPv4 address"),
        ("nas", "wireguard_address_v4", "10.78.0.5", "it is no address of 10.77.0.0/16 that a host can have"),
        ("nas", "wireguard_address_v4", "10.77.0.0", "it is no address of 10.77.0.0/16 that a host can have"),
        ("nas", "wireguard_address_v6", "10.77.0.5", "it is no IPv6 address"),
        ("barn", "wireguard_endpoints", ["barn.example.net"], "it has no port"),
        ("barn", "wireguard_endpoints", ["2001:db8::7"], "it has no port"),
        ("barn", "wireguard_endpoints", ["192.0.2.7"], "it has no port"),
        ("barn", "wireguard_endpoints", ["a.example:0"], "a port is a number"),
        ("barn", "wireguard_endpoints", "a.example:1", "it is no list"),
        ("barn", "wireguard_endpoints", ["127.0.0.1:1"], "no other host reaches such an address"),
        ("barn", "wireguard_endpoints", ["203.0.113.1:51820"], "hub-1 is called there already"),
        ("barn", "wireguard_endpoints", ["a.example:1", "a.example:1"], "it names an endpoint twice"),
        ("van", "wireguard_endpoints", ["a.example:1"], "it is behind cgnat, and a carrier's NAT forwards no port"),
        ("mini-2", "wireguard_lan_address", "192.168.1.11", "mini-1 is called there already"),
        ("nas", "wireguard_lan_address", "nas", "it is no address that others of its home reach"),
        ("nas", "wireguard_lan_address", "10.77.1.1", "it lies in 10.77.0.0/16, the network of mesh addresses"),
        ("hub-1", "wireguard_lan_address", "10.0.0.1", "only hosts of one home call each other there"),
        ("nas", "wireguard_routes", 7, "it is no list of networks"),
        ("nas", "wireguard_routes", ["10.1.1.1/24"], "it is no network in the form address/length"),
        ("nas", "wireguard_routes", ["0.0.0.0/0"], "it would take all traffic"),
        ("nas", "wireguard_routes", ["127.0.0.0/8"], "some of its addresses have another meaning"),
        ("nas", "wireguard_routes", ["10.0.0.0/8"], "it overlaps 10.77.0.0/16, the network of mesh addresses"),
        ("nas", "wireguard_routes", ["203.0.113.0/24"], "hub-1 is at 203.0.113.1, where others would"),
        ("nas", "wireguard_routes", ["192.168.1.0/24"], "mini-1 is at 192.168.1.11, where others would"),
        ("barn", "wireguard_routes", ["192.168.1.0/24"], "mini-1 is at 192.168.1.11, where others would"),
        ("hub-1", "wireguard_routes", ["192.168.1.0/24"], "mini-1 is at 192.168.1.11, where others would"),
        ("nas", "wireguard_routes", ["10.9.0.0/24", "10.9.0.0/24"], "it overlaps 10.9.0.0/24, which nas has"),
        ("laptop", "wireguard_outbound_ports", [], ""),
        ("laptop", "wireguard_outbound_ports", None, ""),
    ],
)
def test_a_mistake_of_a_host_is_named(host: str, variable: str, value: object, reason: str) -> None:
    found = mistakes({host: {variable: value}})
    where = f"{host}: {variable}" if reason else "laptop: mesh_nat"
    reason = reason or "its home office lets no UDP out"
    assert [line for line in found if line.startswith(f"{where}: found ") and f": {reason}" in line], found


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("wireguard_topology", "ring", "it is no choice. Use auto, full, hub."),
        ("wireguard_hubs", ["hub-3"], '"hub-3" is no node'),
        ("wireguard_hubs", ["hub-1", "hub-1"], "it names a host twice"),
        ("wireguard_hubs", "hub-1", "it is no list of names"),
        ("wireguard_preshared_keys", "no", "it is neither true nor false"),
        ("wireguard_prefix_v4", "10.77.0.1/16", "it is no IPv4 network"),
        ("wireguard_prefix_v4", "fd77::/64", "it is no IPv4 network"),
        ("wireguard_prefix_v4", "10.77.0.0/31", "it has no room for two hosts"),
        ("wireguard_prefix_v4", "10.77.0.0/29", "none of its 6 addresses is left for "),
        ("wireguard_prefix_v4", "127.0.0.0/16", "some of its addresses have another meaning"),
        ("wireguard_prefix_v6", "fd77::1/64", "it is no IPv6 network"),
    ],
)
def test_a_mistake_of_the_mesh_is_named(variable: str, value: object, reason: str) -> None:
    found = mistakes(everywhere={variable: value})
    assert [line for line in found if line.startswith(f"all: {variable}: found ") and f": {reason}" in line], found


@pytest.mark.parametrize(
    ("everywhere", "beginning"),
    [
        (
            {"wireguard_topology": "full"},
            'barn: wireguard_topology: found "full": it and laptop cannot call each other',
        ),
        ({"wireguard_hubs": []}, "barn: wireguard_hubs: found []: it and laptop cannot call each other"),
        (
            {"wireguard_topology": "hub", "wireguard_hubs": []},
            "barn: wireguard_hubs: found []: it and hub-1 have no hub",
        ),
        ({"wireguard_hubs": ["nas"]}, 'nas: wireguard_hubs: found ["nas"]: the internet does not reach this hub'),
    ],
)
def test_a_pair_without_a_way_is_named(everywhere: dict[str, t.Any], beginning: str) -> None:
    found = mistakes(everywhere=everywhere)
    assert any(line.startswith(beginning) for line in found), found


def test_two_hosts_with_one_address_are_both_named() -> None:
    (line,) = mistakes({host: {"wireguard_address_v4": "10.77.0.5"} for host in ("nas", "van")})
    assert line.startswith('van: wireguard_address_v4: found "10.77.0.5": nas has it already')


def test_networks_of_two_homes_that_overlap_are_both_named() -> None:
    (line,) = mistakes({"nas": {"wireguard_routes": ["10.9.7.0/24"]}, "van": {"wireguard_routes": ["10.9.0.0/21"]}})
    assert line.startswith('van: wireguard_routes: found "10.9.0.0/21": it overlaps 10.9.7.0/24, which nas has')


def test_a_mesh_network_that_holds_a_public_address_is_refused() -> None:
    found = mistakes(everywhere={"wireguard_prefix_v4": "203.0.0.0/16"})
    assert found[0].startswith('hub-1: mesh_public_address: found "203.0.113.1": it lies in 203.0.0.0/16')


def test_a_mesh_without_a_network_is_refused() -> None:
    found = mistakes(everywhere={"wireguard_prefix_v4": "", "wireguard_prefix_v6": ""})
    assert found[0].startswith('all: wireguard_prefix_v4: found "": without IPv4 and IPv6 nodes have no addresses')


def test_the_good_inventory_has_no_mistakes() -> None:
    assert mistakes() == []


def test_a_small_mtu_is_right_without_ipv6() -> None:
    assert mistakes({"nas": {"wireguard_mtu": 1000}}, {"wireguard_prefix_v6": ""}) == []


def test_every_home_that_lets_no_udp_out_is_named() -> None:
    cellar = {"mesh_home": "cellar", "mesh_nat": "udp-blocked"}
    found = mistakes({"laptop": {"wireguard_outbound_ports": None}, "pi-1": cellar, "pi-2": cellar})
    assert [line.partition(":")[0] for line in found] == ["laptop", "pi-1", "pi-2"]


def test_a_silent_home_is_a_mesh_of_its_own() -> None:
    silent = {"mesh_home": "cellar", "mesh_nat": "udp-blocked"}
    hosts = {name: {**silent, "wireguard_lan_address": f"192.168.1.{n}"} for n, name in enumerate("ab", 1)}
    assert read(hosts)[1] == []


@pytest.mark.parametrize("topology", ["auto", "hub"])
def test_two_homes_that_reach_different_hubs_are_named_as_a_pair(topology: str) -> None:
    changes: Hosts = {
        "hub-1": {"wireguard_extra_ports": [123]}, "hub-2": {"wireguard_extra_ports": [443]},
        "shop": {"mesh_home": "shop", "mesh_nat": "udp-blocked", "wireguard_outbound_ports": [443]},
    }  # fmt: skip
    found = mistakes(changes, {"wireguard_topology": topology})
    assert [line for line in found if "laptop" in line and "shop" in line and "wireguard_hubs" in line], found


def test_the_range_of_carriers_does_not_go_with_tailscale() -> None:
    everywhere = {"wireguard_prefix_v4": "100.64.0.0/16"}
    assert mistakes(everywhere=everywhere) == []
    found = mistakes(everywhere=everywhere, tailscale=["nas"])
    assert found[0].startswith('all: wireguard_prefix_v4: found "100.64.0.0/16": nas has Tailscale')
    assert mistakes({"van": {"wireguard_routes": ["100.100.0.0/24"]}}, tailscale=["nas"])[0].startswith(
        "van: wireguard_routes"
    )


def test_a_hub_takes_the_networks_of_its_home() -> None:
    changes: Hosts = {"shed": {"mesh_home": "barn", "mesh_nat": "full-cone", "wireguard_routes": ["192.168.7.0/24"]}}
    found = mistakes(changes, {"wireguard_hubs": ["hub-1", "barn"]})
    assert found[0].startswith('shed: wireguard_routes: found ["192.168.7.0/24"]: barn of the same home is a hub')


def test_a_key_of_two_names_is_refused_with_the_way_out() -> None:
    known = registry(HOSTS).record("van", [], key("nas"))
    (line,) = mistakes(known=known)
    assert line.startswith(f'van: public key: found "{key("nas")}": nas has the same key')
    assert "regenerate" in line


def test_two_registries_that_disagree_are_named() -> None:
    entries = frozenset(Entry(2, (address,), key("nas")) for address in ("10.77.0.5", "10.77.0.6"))
    (line,) = mistakes(known=registry(HOSTS).merge(Registry({"nas": entries})))
    assert line.startswith("nas: wireguard registry: found")
    assert "one registry has 10.77.0.5 " in line
    assert "another 10.77.0.6 " in line


def test_an_address_that_the_registry_gives_to_two_is_refused() -> None:
    known = registry(HOSTS).record("nas", ["10.77.0.5"], None).record("van", ["10.77.0.5"], None)
    (line,) = mistakes(known=known)
    assert line.startswith('van: wireguard_address_v4: found "10.77.0.5": nas has it already')


def test_all_mistakes_come_at_once() -> None:
    assert len(mistakes({"nas": {"wireguard_port": 0, "wireguard_mtu": 1}, "van": {"wireguard_routes": 7}})) == 3


def test_the_inventory_is_left_as_it_is() -> None:
    before = repr(hosts := changed())
    read(hosts)
    assert repr(hosts) == before
