# SPDX-License-Identifier: MIT
"""A gateway of very many services: Caddy tries few matchers for any of them, and asks few of them how they are."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.filter.caddy_config import caddy_config
from tests.unit.plugins.plugin_utils.mesh_world import model

MOST = 60  # matchers that are tried for one name, of ten thousand


def routes(count: int, **others: t.Any) -> list[dict[str, t.Any]]:
    services = [{"name": f"s{number}", "host": f"s{number:05}.example.com", "port": 8000} for number in range(count)]
    hosts = {"nas": {"mesh_services": services}, "mini-1": {"mesh_services": None}, "mini-2": {"mesh_services": None}}
    mesh = model(hosts=hosts | others, everywhere={"mesh_dns_check": "warn"})
    return caddy_config(mesh, "edge")["apps"]["http"]["servers"]["https"]["routes"]


def found(some: list[dict[str, t.Any]], host: str) -> tuple[int, list[dict[str, t.Any]]]:
    """How many matchers Caddy tries for the host, and what it ends with."""
    tried = 0
    for route in some:
        if "match" not in route:
            continue
        tried += 1
        if host in route["match"][0]["host"]:
            inner = route["handle"][0].get("routes")
            more, handlers = found(inner, host) if inner else (0, route["handle"])
            return tried + more, handlers
    return tried, []


@pytest.mark.parametrize("count", [1, 12, 13, 120, 121, 1300])
def test_every_name_is_found_whatever_their_number(count: int) -> None:
    all_of_them = routes(count)
    assert all(found(all_of_them, f"s{number:05}.example.com")[1] for number in range(count))


def test_few_matchers_are_tried_for_the_last_of_ten_thousand() -> None:
    tried, handlers = found(routes(10_000), "s09999.example.com")
    assert tried <= MOST
    assert handlers[-1]["handler"] == "reverse_proxy"


def test_all_names_are_at_the_top_where_automatic_https_looks_for_them() -> None:
    named = [name for route in routes(1300) for each in route.get("match", []) for name in each["host"]]
    assert len(named) == 1300


def test_of_very_many_services_those_of_one_node_are_not_asked_and_keep_no_connection_for_long() -> None:
    proxy = found(routes(1001), "s00000.example.com")[1][-1]
    assert "health_checks" not in proxy
    assert proxy["transport"]["keep_alive"] == {"idle_timeout": "4s"}
    assert "active" in found(routes(1000), "s00000.example.com")[1][-1]["health_checks"]


def test_of_very_many_services_those_with_replicas_are_asked() -> None:
    twin = {"laptop": {"mesh_services": [{"name": "s0", "host": "s00000.example.com", "port": 8000}]}}
    assert set(found(routes(1001, **twin), "s00000.example.com")[1][-1]["health_checks"]) == {"active", "passive"}
