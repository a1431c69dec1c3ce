# SPDX-License-Identifier: MIT

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.filter.probe_plan import probe_plan
from tests.unit.plugins.plugin_utils.mesh_world import model

KEYS = [
    "port", "member", "tailscale", "socket", "socks", "interface", "peers", "connections", "answers", "urls", "ports",
    "streams", "stun", "relay_after",
]  # fmt: skip


def test_a_node_measures_its_peers() -> None:
    plan = probe_plan(model(), "mini-1")
    assert list(plan) == KEYS
    assert plan["member"] is True
    assert plan["port"] == 7733
    assert plan["peers"][0] == {"name": "edge", "dns": "edge.mesh.example.com", "address": ""}
    assert [peer["name"] for peer in plan["peers"]] == ["edge", "laptop", "mini-2", "nas"]
    assert [(each["to"], each["port"]) for each in plan["connections"]] == [
        ("edge", 22), ("laptop", 22), ("mini-2", 22), ("mini-2", 1055), ("mini-2", 8000), ("nas", 22),
    ]  # fmt: skip
    assert plan["answers"] == [22, 8000]
    assert plan["urls"] == plan["ports"] == []


def test_a_node_without_tun_goes_through_its_proxy_wherever_that_is() -> None:
    mesh = model(hosts={"mini-2": {"tailscaled_proxy_port": "1099"}})
    assert (probe_plan(mesh, "mini-2")["socks"], probe_plan(mesh, "mini-1")["socks"]) == ("127.0.0.1:1099", "")


def test_a_stranger_measures_what_the_internet_sees() -> None:
    plan = probe_plan(model(), "stranger")
    assert plan["member"] is False
    assert plan["peers"] == plan["connections"] == plan["answers"] == []
    assert [each["url"] for each in plan["urls"]] == [
        "https://hello.example.com/",
        "https://hub.example.com/health",
        "https://hub.example.com/api/v1/node",
        "https://hub.example.com/metrics",
        "https://hub.example.com/swagger",
    ]
    assert plan["ports"] == [
        {"name": "edge", "address": "203.0.113.11", "port": 443, "protocol": "tcp"},
        {"name": "hub", "address": "hub.example.com", "port": 443, "protocol": "tcp"},
        {"name": "hub", "address": "hub.example.com", "port": 3478, "protocol": "stun"},
        {"name": "hub", "address": "hub.example.com", "port": 8080, "protocol": "tcp"},
        {"name": "hub", "address": "hub.example.com", "port": 9090, "protocol": "tcp"},
    ]


def test_the_controller_is_the_stranger_where_there_is_none() -> None:
    without = model(groups={"strangers": []})
    assert probe_plan(without, "controller") == probe_plan(model(), "stranger")
    with pytest.raises(AnsibleFilterError, match="'controller' is no host of the model"):
        probe_plan(model(), "controller")


def test_a_userspace_node_dials_through_its_proxy() -> None:
    assert probe_plan(model(), "mini-2")["socks"] == "127.0.0.1:1055"
    assert probe_plan(model(), "mini-1")["socks"] == ""


def test_a_host_that_is_neither_measures_nothing() -> None:
    plan = probe_plan(model(), "hub")
    assert plan["member"] is False
    assert [plan[key] for key in ("peers", "connections", "answers", "urls", "ports")] == [[]] * 5


def test_ports_of_extra_grants_are_tried_by_everybody() -> None:
    mesh = model(
        everywhere={"mesh_grants": [{"from": ["nas"], "to": ["edge"], "ports": ["tcp:445", "tcp:1-9", "udp:5"]}]}
    )
    assert probe_plan(mesh, "edge")["answers"] == [1, 22, 445]
    assert {"to": "edge", "port": 445} in probe_plan(mesh, "laptop")["connections"]


def test_the_probe_port_is_open_to_all_and_no_grant_makes_it_one_to_refuse() -> None:
    mesh = model(everywhere={"mesh_grants": [{"from": ["nas"], "to": ["edge"], "ports": ["tcp:7733"]}]})
    assert probe_plan(mesh, "edge")["answers"] == [22]


def test_the_loopback_of_a_node_without_tun_is_tried_by_everybody() -> None:
    mesh = model(hosts={"mini-2": {"tailscaled_proxy_port": 1099}})
    assert 1099 in probe_plan(mesh, "mini-2")["answers"]
    others = [name for name in mesh["nodes"] if name != "mini-2"]
    assert all({"to": "mini-2", "port": 1099} in probe_plan(mesh, name)["connections"] for name in others)


@pytest.mark.parametrize("host", ["nobody", None, 7])
def test_refuses_a_host_that_is_not_there(host: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"probe_plan: .* is no host of the model; there are edge, hub"):
        probe_plan(model(), host)


RELAYS = {"relays": ["edge", "out"], "nodes": ["edge", "mini-1", "mini-2", "nas", "laptop", "out"]}
OUT = {"out": {"mesh_public_address": "203.0.113.13"}}


def test_a_node_behind_an_unknown_nat_asks_two_servers_where_they_see_it() -> None:
    mesh = model(hosts={**OUT, "nas": {"mesh_nat": "auto"}}, groups=RELAYS)
    servers = [{"address": "203.0.113.11", "port": 3478}, {"address": "203.0.113.13", "port": 3478}]
    assert {name: probe_plan(mesh, name)["stun"] for name in ("nas", "laptop", "edge")} == {
        "nas": servers, "laptop": [], "edge": [],
    }  # fmt: skip


def test_one_server_says_nothing_about_a_nat() -> None:
    assert probe_plan(model(hosts={"nas": {"mesh_nat": "auto"}}), "nas")["stun"] == []
