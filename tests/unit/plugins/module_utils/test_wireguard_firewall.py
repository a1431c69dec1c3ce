# SPDX-License-Identifier: MIT
"""The rules of an interface, as text for nft; what nft and the kernel make of them is a test of the fleet."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_firewall import rules
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_wanted import Wanted
from tests.unit.plugins.modules.wireguard_host import table

NOTHING = {"mesh": False, "networks": []}


def chain(name: str, given: dict[str, t.Any] | None = None, **changes: t.Any) -> list[str]:
    """The lines of one chain, without its hook."""
    text = rules("wm0", Wanted(table(**changes), given or {}))
    found = [part.strip().splitlines() for part in text.split(" chain ") if part.startswith(f"{name} ")]
    return [line.strip() for line in found[0][2:-1]] if found else []


def accepted(*rule: dict[str, t.Any]) -> list[str]:
    """What rules add to what is always let in."""
    return [line for line in chain("input", {"input": list(rule)}) if line not in chain("input")]


def test_without_rules_only_answers_and_icmp_come_in() -> None:
    lines = chain("input")
    assert lines[0] == 'iifname != "wm0" accept'
    assert lines[-1] == "drop"
    assert [line for line in lines[1:-1] if "icmp" not in line] == ["ct state established,related accept"]


def test_a_rule_lets_in_its_networks_to_its_ports() -> None:
    rule = {"from": ["10.77.0.5/32", "fd77::5/128"], "ports": ["tcp:22", "udp:53", "tcp:8000-8010"]}
    assert accepted(rule) == [
        "ip saddr { 10.77.0.5/32 } tcp dport { 22, 8000-8010 } accept",
        "ip saddr { 10.77.0.5/32 } udp dport { 53 } accept",
        "ip6 saddr { fd77::5/128 } tcp dport { 22, 8000-8010 } accept",
        "ip6 saddr { fd77::5/128 } udp dport { 53 } accept",
    ]


def test_all_ports_of_a_protocol_are_one_match() -> None:
    assert accepted({"from": ["10.77.0.0/16"], "ports": ["tcp:*", "tcp:22"]}) == [
        "ip saddr { 10.77.0.0/16 } meta l4proto tcp accept"
    ]


@pytest.mark.parametrize(
    ("ports", "merged"),
    [
        (["tcp:22", "tcp:22"], "22"),
        (["tcp:80-90", "tcp:85-95", "tcp:96"], "80-96"),
        (["tcp:1-100", "tcp:50", "tcp:200"], "1-100, 200"),
    ],
)
def test_ports_that_overlap_become_one_as_a_set_must_have_them(ports: list[str], merged: str) -> None:
    (line,) = accepted({"from": ["10.77.0.0/16"], "ports": ports})
    assert line == f"ip saddr {{ 10.77.0.0/16 }} tcp dport {{ {merged} }} accept"


def test_networks_that_overlap_become_one_as_a_set_must_have_them() -> None:
    (line,) = accepted({"from": ["10.77.0.0/16", "10.77.0.5/32"], "ports": ["tcp:22"]})
    assert line == "ip saddr { 10.77.0.0/16 } tcp dport { 22 } accept"


def test_a_node_that_is_no_hub_forwards_nothing() -> None:
    lines = chain("forward")
    assert [line for line in lines if line.endswith("accept")] == [
        'iifname != "wm0" oifname != "wm0" accept',
        "ct state established,related accept",
    ]
    assert lines[-1] == "drop"


def test_a_hub_forwards_between_its_peers_and_answers_probes() -> None:
    hub = {"mesh": True, "networks": []}
    assert 'iifname "wm0" oifname "wm0" accept' in chain("forward", forward=hub)
    assert "ip daddr 10.77.0.9 udp dport 51819 accept" in chain("input", forward=hub)


def test_a_home_is_led_to_only_as_its_rules_say() -> None:
    home = {"mesh": False, "networks": ["192.168.5.0/24"]}
    given = {"forward": [{"from": ["10.77.0.5/32", "fd77::5/128"], "ports": ["tcp:443"]}]}
    lines = chain("forward", given, forward=home)
    assert [line for line in lines if "443" in line] == [
        'iifname "wm0" oifname != "wm0" ip saddr { 10.77.0.5/32 } ip daddr { 192.168.5.0/24 } tcp dport { 443 } accept'
    ]
    assert chain("postrouting", given, forward=home) == [
        'oifname != "wm0" ip saddr { 10.77.0.0/16 } ip daddr { 192.168.5.0/24 } masquerade'
    ]


def test_rules_for_a_home_mean_nothing_where_there_is_none() -> None:
    given = {"forward": [{"from": ["10.77.0.5/32"], "ports": ["tcp:443"]}]}
    assert chain("forward", given) == chain("forward")
    assert chain("postrouting", given) == []


def test_extra_ports_lead_to_the_port_but_not_from_within() -> None:
    assert chain("prerouting", extra_ports=[123, 443]) == [
        'iifname != "wm0" fib daddr type local udp dport { 123, 443 } redirect to :51820'
    ]
    assert chain("prerouting") == []
