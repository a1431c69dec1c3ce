# SPDX-License-Identifier: MIT
"""A gateway of very many services: Caddy tries few matchers for any of them, and asks few of them how they are."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.filter.caddy_config import caddy_config
from tests.unit.plugins.plugin_utils.mesh_world import model

MOST = 60  # matchers that are tried for one name, of ten thousand
SHORT = 300  # bytes of JSON for a service, of ten thousand
NEAR, FAR = 1000, 1001  # the most services that are asked how they are, and more


def routes(count: int, port: int = 0, **others: t.Any) -> list[dict[str, t.Any]]:
    """Of so many services on one node, each on a port of its own, or all on this one."""
    services = [
        {"name": f"s{number}", "host": f"s{number:05}.example.com", "port": port or 10_000 + number}
        for number in range(count)
    ]
    hosts = {"nas": {"mesh_services": services}, "mini-1": {"mesh_services": None}, "mini-2": {"mesh_services": None}}
    mesh = model(hosts=hosts | others, everywhere={"mesh_dns_check": "warn"})
    return caddy_config(mesh, "edge")["apps"]["http"]["servers"]["https"]["routes"]


class Found:
    """What Caddy does with a request for a host: what it tries, and what it comes to."""

    def __init__(self, some: list[dict[str, t.Any]], host: str) -> None:
        self.tried, self.variables = 0, dict[str, str]()
        self.proxy: dict[str, t.Any] = {}
        self._go(some, host)

    def _go(self, some: list[dict[str, t.Any]], host: str) -> None:
        for route in some:
            self.tried += "match" in route
            if "match" in route and host not in route["match"][0].get("host", []):
                continue
            for handler in route["handle"]:
                self._handle(handler, host)
            if route.get("terminal"):
                return

    def _handle(self, handler: dict[str, t.Any], host: str) -> None:
        if handler["handler"] == "subroute":
            self._go(handler["routes"], host)
        elif handler["handler"] == "vars":
            self.variables |= {f"{{http.vars.{key}}}": value for key, value in handler.items()}
        elif handler["handler"] == "reverse_proxy":
            self.proxy = handler

    @property
    def upstream(self) -> str:
        dial = self.proxy["upstreams"][0]["dial"]
        return self.variables.get(dial, dial)


@pytest.mark.parametrize("count", [1, 12, 13, 120, 121, NEAR, FAR, 1300])
def test_every_name_is_found_and_leads_to_its_own_program_whatever_their_number(count: int) -> None:
    all_of_them = routes(count)
    seen = [Found(all_of_them, f"s{number:05}.example.com").upstream for number in range(count)]
    assert seen == [f"nas.mesh.example.com:{10_000 + number}" for number in range(count)]


def test_few_matchers_are_tried_and_few_bytes_read_for_the_last_of_ten_thousand() -> None:
    all_of_them = routes(10_000)
    assert Found(all_of_them, "s09999.example.com").tried <= MOST
    assert len(json.dumps(all_of_them)) <= SHORT * 10_000


def test_very_many_names_of_one_program_have_one_route() -> None:
    assert sum("host" in route.get("match", [{}])[0] for route in routes(FAR, 8000)) == 1
    assert Found(routes(FAR, 8000), "s00000.example.com").upstream == "nas.mesh.example.com:8000"


def test_a_service_that_differs_in_more_than_its_program_keeps_what_is_its_own() -> None:
    other = {"name": "slow", "host": "slow.example.com", "port": 9000, "timeout": "1h"}
    all_of_them = routes(FAR, laptop={"mesh_services": [other]})
    slow, usual = Found(all_of_them, "slow.example.com"), Found(all_of_them, "s00000.example.com")
    assert slow.upstream == "laptop.mesh.example.com:9000"
    assert slow.proxy["transport"]["response_header_timeout"] == "3600s"
    assert usual.proxy["transport"]["response_header_timeout"] == "300s"


def test_a_name_with_paths_has_routes_of_its_own_among_very_many() -> None:
    below = {"name": "below", "host": "s00000.example.com", "path": "/below", "port": 9000}
    all_of_them = routes(FAR, laptop={"mesh_services": [below]})
    of_name = [route for route in all_of_them if route.get("match", [{}])[0].get("host") == ["s00000.example.com"]]
    assert [route["match"][0].get("path") for route in of_name] == [["/below", "/below/*"], None]


def test_all_names_are_at_the_top_where_automatic_https_looks_for_them() -> None:
    named = [name for route in routes(1300) for each in route.get("match", []) for name in each.get("host", [])]
    assert len(named) == 1300


def test_of_very_many_services_those_of_one_node_are_not_asked_and_keep_no_connection_for_long() -> None:
    proxy = Found(routes(FAR), "s00000.example.com").proxy
    assert "health_checks" not in proxy
    assert proxy["transport"]["keep_alive"] == {"idle_timeout": "4s"}
    assert "active" in Found(routes(NEAR), "s00000.example.com").proxy["health_checks"]


def test_of_very_many_services_those_with_replicas_are_asked() -> None:
    twin = {"laptop": {"mesh_services": [{"name": "s0", "host": "s00000.example.com", "port": 10_000}]}}
    assert set(Found(routes(FAR, **twin), "s00000.example.com").proxy["health_checks"]) == {"active", "passive"}
