# SPDX-License-Identifier: MIT
"""mesh_services of every protocol: what becomes of them, and what is refused."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.filter.mesh_policy import mesh_policy
from ansible_collections.wonder.mesh.plugins.plugin_utils._permissions import permission
from ansible_collections.wonder.mesh.plugins.plugin_utils._plan import listened, plan
from ansible_collections.wonder.mesh.plugins.plugin_utils._verdict import judge
from tests.unit.plugins.plugin_utils.mesh_world import RECORDS, build, changed, measure, model, world

DB = {"name": "db", "protocol": "tcp", "port": 5432}
GAME = {"name": "game", "protocol": "udp", "port": 9999, "health": "ping"}
GIT = {"name": "git", "protocol": "tls", "host": "git.example.com", "port": 8443}
AROUND = world(RECORDS | {"git.example.com": ["203.0.113.11"]})


def nas(*services: dict[str, t.Any], **others: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    hosts: dict[str, t.Any] = {"nas": {"mesh_services": list(services)}}
    hosts |= {name: {"mesh_services": each} for name, each in others.items()}
    return {"hosts": hosts, "around": AROUND}


MISTAKES: dict[str, tuple[dict[str, t.Any], str]] = {
    "path of tcp": (nas(DB | {"path": "/"}), r"nas: mesh_services\[0\]\.path: .*protocol tcp has none"),
    "health of tls": (nas(GIT | {"health": "/"}), r"mesh_services\[0\]\.health: .*protocol tls has none"),
    "public port of tls": (nas(GIT | {"public_port": 444}), r"\.public_port: .*protocol tls has none"),
    "proxy protocol of udp": (nas(GAME | {"proxy_protocol": True}), r"\.proxy_protocol: .*protocol udp has none"),
    "proxy protocol of http": (
        nas({"name": "x", "host": "git.example.com", "port": 1, "proxy_protocol": True}),
        r"\.proxy_protocol: .*protocol http has none",
    ),
    "proxy protocol 2": (nas(DB | {"proxy_protocol": "v2"}), r"\.proxy_protocol: .*neither true nor false"),
    "tls without host": (nas({**GIT, "host": None}), r"\.host: found nothing: a service needs a host"),
    "tcp without port": (nas({"name": "db", "protocol": "tcp"}), r"\.port: found nothing: a service needs a port"),
    "range of http": (
        nas({"name": "x", "host": "git.example.com", "port": "80-90"}),
        r"\.port: found \"80-90\": a port is a number from 1 to 65535\. ",
    ),
    "range backwards": (nas(DB | {"port": "9-8"}), r"\.port: found \"9-8\": .*a range is like"),
    "range too long": (nas(DB | {"port": "1000-2000"}), r"it has more than 1000 ports"),
    "range with ssh": (nas(DB | {"port": "20-30"}), "SSH has this port"),
    "other length": (nas(DB | {"public_port": "5432-5433"}), r"public_port: .*port has 1 and public_port has 2"),
    "health of udp": (nas(GAME | {"health": ["x"]}), r"\.health: .*no line of ASCII"),
    "one name for tls and http": (
        nas(GIT | {"host": "hello.example.com"}),
        r"mini-1: mesh_services\.hello\.host: .*nas has the tls service git under this name",
    ),
    "two tls of one name": (nas(GIT, GIT | {"name": "other"}), "services.other: .*nas has another service there, git"),
    "two of one port": (
        nas(DB, laptop=[DB | {"name": "other"}]),
        r'laptop: mesh_services\.other: found "TCP 5432": nas has another service there, db',
    ),
    "ranges that meet": (
        nas(DB | {"port": "5000-5010"}, {**DB, "name": "b", "port": 5005}),
        r"nas: mesh_services\.b\.public_port: .*nas has TCP 5000-5010 for db",
    ),
    "tcp on caddy's": (nas(DB | {"public_port": 443}), "public_port: .*on the gateway edge Caddy has port 443"),
    "tcp on ssh's": (nas(DB | {"public_port": 22}), "public_port: .*on the gateway edge SSH has port 22"),
    "tcp on the probe's": (nas(DB | {"public_port": 7733}), "public_port: .*the probe .* has port 7733"),
    "tcp on its own": (
        nas(DB, edge=[{"name": "x", "host": "git.example.com", "port": 5432}]),
        "nas: mesh_services.db.public_port: .*the service x of this node has port 5432",
    ),
    "udp on http/3": (nas(GAME | {"public_port": 443}), "on the gateway edge Caddy has port 443"),
    "udp on tailscaled's": (nas(GAME | {"public_port": "41640-41642", "port": "1-3"}), r"\(tailscaled_port\) has"),
    "udp twice": (nas(GAME, laptop=[GAME]), "laptop: mesh_services.game: .*over UDP a gateway cannot tell"),
    "other proxy protocol": (
        nas(DB, laptop=[DB | {"proxy_protocol": True}]),
        r"laptop: mesh_services\.db\.proxy_protocol: .*the replica on nas has none",
    ),
    "no names": (
        {"hosts": {"nas": {"mesh_services": [DB]}, "edge": {"tailscaled_accept_dns": False}}},
        r"edge: tailscaled_accept_dns: found false: .*for db \(tcp\) by the host's resolver",
    ),
    "host inside": (nas(DB | {"host": "db.mesh.example.com"}), "inside mesh_domain"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refused_with_where_and_why(name: str) -> None:
    changes, pattern = MISTAKES[name]
    outcome = build(**changes)
    assert outcome.model is None
    assert re.search(pattern, "\n".join(outcome.problems)), outcome.problems


def test_one_port_of_each_protocol_is_no_clash() -> None:
    assert [each["name"] for each in model(**nas(DB, GAME | {"port": 5432}, GIT))["services"]] == [
        "db", "game", "git", "hello",
    ]  # fmt: skip


def test_the_host_of_a_tcp_service_may_be_one_of_http() -> None:
    assert model(**nas(DB | {"host": "hello.example.com"}))["services"][0]["host"] == "hello.example.com"


def test_a_host_of_tls_needs_no_certificate_of_the_gateway_and_leads_to_it() -> None:
    outcome = build(**{**nas(GIT), "around": world(RECORDS)}, everywhere={"mesh_dns_check": "warn"})
    assert outcome.model is not None
    assert "git.example.com. A 203.0.113.11" in outcome.warnings[0]


def test_a_gateway_may_reach_what_is_published_and_no_more() -> None:
    mesh = model(**nas(DB | {"port": "5432-5440"}, GAME))
    grants = {tuple(each["dst"]): each["ip"] for each in mesh_policy(mesh)["grants"] if each["src"] == ["tag:gateway"]}
    assert grants["tag:node-nas",] == ["tcp:5432-5440", "udp:9999"]
    allowed = {port for port in (5431, 5432, 5440, 5441, 9999) if permission(mesh, "edge", "nas", port)}
    assert allowed == {5432, 5440}
    assert permission(mesh, "laptop", "nas", 5432) == ""
    assert listened(mesh)["nas"] == [22, 5432]


def test_a_stranger_tries_each_where_people_do() -> None:
    assert plan(model(**nas(DB, GAME, GIT)), "stranger")["streams"] == [
        {"name": "db", "url": "tcp://203.0.113.11:5432", "address": "", "send": ""},
        {"name": "game", "url": "udp://203.0.113.11:9999", "address": "", "send": "ping"},
        {"name": "git", "url": "tls://git.example.com:443", "address": "", "send": ""},
    ]
    assert plan(model(**nas(DB)), "nas")["streams"] == []


def found(result: dict[str, t.Any], name: str) -> t.Any:
    return next(each["ok"] for each in result["services"] if each["name"] == name)


def test_what_a_healthy_mesh_serves_is_kept() -> None:
    mesh = model(**nas(DB, GAME, GIT))
    result = judge(mesh, measure(mesh))
    assert (result["problems"], {each["ok"] for each in result["services"]}) == ([], {True})


def test_udp_without_a_text_to_send_is_not_measured() -> None:
    mesh = model(**nas({**GAME, "health": None}))
    result = judge(mesh, measure(mesh))
    assert (found(result, "game"), result["ok"]) == (None, True)
    assert result["not_measured"] == [
        "udp://203.0.113.11:9999 from stranger: game has no health, a text that it answers"
    ]


def test_a_connection_that_stays_open_is_no_service_while_no_gateway_reaches_the_node() -> None:
    mesh = model(**nas(DB))
    measured = measure(mesh)
    for each in measured["edge"]["connections"]:
        if (each["to"], each["port"]) == ("nas", 5432):
            each["outcome"] = "silent"
    result = judge(mesh, measured)
    assert found(result, "db") is False
    assert any("takes the connection and reaches no node (nas:5432 listens)" in each for each in result["problems"])


def test_a_stream_that_the_gateway_ends_is_a_broken_promise() -> None:
    mesh = model(**nas(DB))
    measured = changed(measure(mesh), "stranger", "streams", 0, "open", value=False)
    result = judge(mesh, measured)
    assert (found(result, "db"), result["ok"]) == (False, False)
