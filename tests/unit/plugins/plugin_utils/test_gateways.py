# SPDX-License-Identifier: MIT
"""Gateways without TUN device, and more than one of them."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import jsonschema
import pytest

from ansible_collections.wonder.mesh.plugins.filter.caddy_config import caddy_config
from ansible_collections.wonder.mesh.plugins.plugin_utils._plan import plan
from ansible_collections.wonder.mesh.plugins.plugin_utils._table import render
from ansible_collections.wonder.mesh.plugins.plugin_utils._verdict import judge
from tests.unit.plugins.plugin_utils.mesh_world import GROUPS, RECORDS, build, measure, model, world

SCHEMA = json.loads((Path(__file__).parents[4] / "docs" / "result.schema.json").read_text(encoding="utf-8"))
DB = {"name": "db", "protocol": "tcp", "port": 5432}
GAME = {"name": "game", "protocol": "udp", "port": 9999, "health": "ping"}
GIT = {"name": "git", "protocol": "tls", "host": "git.example.com", "port": 8443}
AROUND = world(RECORDS | {"git.example.com": ["203.0.113.11"]})
WITHOUT_TUN = {"edge": {"tailscaled_tun": False, "tailscaled_proxy_port": 1080}}


def transports(mesh: t.Any, host: str) -> list[dict[str, t.Any]]:
    routes = caddy_config(mesh, host)["apps"]["http"]["servers"]["https"]["routes"]
    return [handler["transport"] for route in routes for handler in route["handle"] if "transport" in handler]


def test_a_gateway_without_tun_reaches_nodes_by_the_proxy_of_its_tailscaled() -> None:
    (transport,) = transports(model(hosts=WITHOUT_TUN), "edge")
    assert transport["protocol"] == "proxied"
    assert transport["network_proxy"] == {"from": "url", "url": "socks5://127.0.0.1:1080"}
    assert "resolver" not in transport


def test_a_gateway_with_tun_needs_no_proxy() -> None:
    (transport,) = transports(model(), "edge")
    assert "network_proxy" not in transport


@pytest.mark.parametrize("service", [DB, GAME, GIT], ids=["tcp", "udp", "tls"])
def test_what_is_no_http_is_refused_by_name_behind_a_gateway_without_tun(service: dict[str, t.Any]) -> None:
    (line,) = build(hosts={**WITHOUT_TUN, "nas": {"mesh_services": [service]}}, around=AROUND).problems
    where = f"nas: mesh_services.{service['name']}.protocol"
    assert line.startswith(f'{where}: found "{service["protocol"]}": the gateway edge has no TUN device')
    assert line.endswith("Use true for tailscaled_tun there, or take edge out of gateways.")


@pytest.fixture
def two() -> t.Any:
    """The demo's services of every kind behind two gateways."""
    return model(
        hosts={"nas": {"mesh_services": [DB, GAME, GIT]}},
        groups={"gateways": ["edge", "hub"], "nodes": [*GROUPS["nodes"], "hub"]},
        around=AROUND,
    )


def test_each_gateway_is_asked_for_each_service(two: t.Any) -> None:
    wanted = plan(two, "stranger")
    asked = {(each["name"], each["address"] or each["url"]) for each in wanted["urls"][:2] + wanted["streams"]}
    assert asked == {
        ("hello", "203.0.113.11"),
        ("hello", "hub.example.com"),
        ("db", "tcp://203.0.113.11:5432"),
        ("db", "tcp://hub.example.com:5432"),
        ("game", "udp://203.0.113.11:9999"),
        ("game", "udp://hub.example.com:9999"),
        ("git", "203.0.113.11"),
        ("git", "hub.example.com"),
    }


def test_two_gateways_that_serve_everything_keep_the_promise(two: t.Any) -> None:
    result = judge(two, measure(two))
    jsonschema.validate(result, SCHEMA)
    assert (result["ok"], len(result["services"])) == (True, 8)
    assert {each["gateway"] for each in result["services"]} == {"edge", "hub"}
    assert any("https://hello.example.com/ at hub" in line for line in render(result))


def test_a_gateway_that_does_not_serve_is_named_whatever_the_other_does(two: t.Any) -> None:
    measured = measure(two)
    for each in [*measured["stranger"]["urls"], *measured["stranger"]["streams"]]:
        if each["name"] in ("hello", "git") and each["address"] == "hub.example.com":
            each.update(status=None, open=False, error="no answer")
    result = judge(two, measured)
    served = {(each["name"], each["gateway"]) for each in result["services"] if each["ok"]}
    assert served.isdisjoint({("hello", "hub"), ("git", "hub")})
    assert {("hello", "edge"), ("git", "edge")} <= served
    assert any(line.startswith("https://hello.example.com/ at hub does not serve") for line in result["problems"])


def test_a_tcp_service_counts_at_a_gateway_only_if_that_one_reaches_a_node(two: t.Any) -> None:
    measured = measure(two)
    for each in measured["hub"]["connections"]:
        each.update(outcome="silent" if (each["to"], each["port"]) == ("nas", 5432) else each["outcome"])
    kept = {each["gateway"]: each["ok"] for each in judge(two, measured)["services"] if each["name"] == "db"}
    assert kept == {"edge": True, "hub": False}


def test_one_gateway_is_asked_where_the_name_leads() -> None:
    mesh = model()
    assert {each.get("address", "") for each in plan(mesh, "stranger")["urls"]} == {""}
    assert all("gateway" not in each for each in judge(mesh, measure(mesh))["services"])
