# SPDX-License-Identifier: MIT
"""What Caddy passes on without looking into it: tcp, udp and tls services."""

from __future__ import annotations

import typing as t

from ansible_collections.wonder.mesh.plugins.filter.caddy_config import caddy_config
from tests.unit.plugins.plugin_utils.mesh_world import HELLO, model, world

DB = {"name": "db", "protocol": "tcp", "port": 5432}
GAME = {"name": "game", "protocol": "udp", "port": "9000-9001", "public_port": "9100-9101"}
GIT = {"name": "git", "protocol": "tls", "host": "git.example.com", "port": 8443, "proxy_protocol": True}
RECORDS = {name: ["203.0.113.11"] for name in ("git.example.com", "hello.example.com")}
AROUND = world(RECORDS | {"hub.example.com": ["203.0.113.10"]})


def config(**services: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    """The gateway's configuration; underscores in the names of nodes stand for dashes."""
    hosts = {name.replace("_", "-"): {"mesh_services": each} for name, each in services.items()}
    return caddy_config(model(hosts=hosts, around=AROUND), "edge")["apps"]


def test_a_mesh_of_http_alone_has_no_layer_4() -> None:
    apps = config()
    wrappers = [each["wrapper"] for each in apps["http"]["servers"]["https"]["listener_wrappers"]]
    assert (set(apps), wrappers) == ({"http", "tls"}, ["handover"])


def test_a_tcp_service_has_a_listener_that_leads_to_its_node() -> None:
    assert config(nas=[DB])["layer4"]["servers"] == {
        "tcp-5432": {
            "listen": ["tcp/:5432"],
            "routes": [
                {"handle": [{"handler": "proxy", "upstreams": [{"dial": ["tcp/nas.mesh.example.com:5432"]}]}]},
            ],
        }
    }


def test_each_port_of_a_range_leads_to_its_own() -> None:
    servers = config(nas=[GAME])["layer4"]["servers"]
    assert {
        each["listen"][0]: each["routes"][0]["handle"][0]["upstreams"][0]["dial"][0] for each in servers.values()
    } == {"udp/:9100": "udp/nas.mesh.example.com:9000", "udp/:9101": "udp/nas.mesh.example.com:9001"}


def test_a_name_that_is_passed_on_leaves_before_tls() -> None:
    https = config(nas=[GIT])["http"]["servers"]["https"]
    early, layer4, *after = https["listener_wrappers"]
    assert (early, after) == ({"wrapper": "handover", "early": True}, [{"wrapper": "tls"}, {"wrapper": "handover"}])
    assert layer4["routes"][0]["match"] == [{"tls": {"sni": ["git.example.com"]}}]
    assert layer4["routes"][0]["handle"][0] == {
        "handler": "proxy",
        "upstreams": [{"dial": ["tcp/nas.mesh.example.com:8443"]}],
        "proxy_protocol": "v2",
    }


def test_only_names_of_http_have_a_route_and_a_redirect() -> None:
    apps = config(nas=[DB, GIT | {"proxy_protocol": False}])
    assert "git.example.com" not in str(apps["http"]["servers"]["https"]["routes"])
    assert "git.example.com" not in str(apps["http"]["servers"]["http"])


def test_replicas_are_tried_in_order_and_watched() -> None:
    proxy = config(nas=[DB], laptop=[DB])["layer4"]["servers"]["tcp-5432"]["routes"][0]["handle"][0]
    assert [each["dial"][0] for each in proxy["upstreams"]] == [
        "tcp/nas.mesh.example.com:5432", "tcp/laptop.mesh.example.com:5432",
    ]  # fmt: skip
    assert proxy["load_balancing"]["selection"] == {"policy": "first"}
    assert proxy["health_checks"]["active"] == {"interval": "2s", "timeout": "2s"}


def test_who_is_no_gateway_listens_for_no_service() -> None:
    apps = caddy_config(model(hosts={"nas": {"mesh_services": [DB]}}), "hub")["apps"]
    assert "layer4" not in apps


def test_a_client_cannot_say_who_it_is() -> None:
    said, seen = config()["http"]["servers"]["https"]["routes"][:2]
    deleted = said["handle"][0]["request"]["delete"]
    assert {"Forwarded", "True-Client-IP", "CF-Connecting-IP"} <= set(deleted)
    assert said["match"] == [{"header": {name: []}} for name in deleted]
    assert seen == {
        "handle": [{"handler": "headers", "request": {"set": {"X-Real-Ip": ["{http.request.remote.host}"]}}}]
    }
    assert "trusted_proxies" not in str(config())


def test_a_service_without_a_replica_is_an_offline_home() -> None:
    (route,) = config()["http"]["servers"]["https"]["errors"]["routes"]
    assert route["match"] == [{"host": [HELLO["host"]], "vars": {"{http.error.status_code}": ["502", "503", "504"]}}]
    page = route["handle"][0]
    assert (page["status_code"], page["headers"]["Retry-After"]) == (503, ["5"])
    assert "This home is offline" in page["body"]


def test_the_front_of_the_control_plane_keeps_its_own_errors() -> None:
    https = caddy_config(model(), "hub")["apps"]["http"]["servers"]["https"]
    assert "errors" not in https


def test_a_slow_or_silent_client_is_not_waited_for() -> None:
    for server in config()["http"]["servers"].values():
        assert (server["read_header_timeout"], server["idle_timeout"], server["max_header_bytes"]) == (
            "10s", "2m", 32768,
        )  # fmt: skip
