# SPDX-License-Identifier: MIT
"""Hosts from Headscale: a small server answers as Headscale 0.29 does."""

from __future__ import annotations

import typing as t

import pytest
from headscale_front import KEY, NODES, Server, serving

from tests.unit.plugins.plugin_utils.https_server import write_certificate

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Inventory

NAME = "headscale.yml"


@pytest.fixture
def server(inventory: Inventory) -> Iterator[Server]:
    place = inventory.home / "key"
    place.write_text(f"{KEY}\n")
    place.chmod(0o600)
    server = Server()
    with serving(server):
        yield server


def text(server: Server, *lines: str, scheme: str = "http", key: str = "api_key_file: key") -> str:
    url = f"url: {scheme}://127.0.0.1:{server.port}"
    return "\n".join(["plugin: wonder.mesh.headscale", url, key, *lines, ""])


def test_a_file_of_three_lines_shows_the_nodes_that_are_connected(inventory: Inventory, server: Server) -> None:
    graph = inventory.graph(NAME, text(server))
    assert [each["givenName"] for each in NODES if f"--{each['givenName']}\n" in graph] == ["edge", "nas", "laptop"]


def test_other_nodes_do_where_asked(inventory: Inventory, server: Server) -> None:
    hosts = inventory.hosts(NAME, text(server, "offline: true"))
    assert {name: each["headscale_online"] for name, each in hosts.items()}["old"] is False


@pytest.mark.parametrize(
    ("group", "members"),
    [("tag_node", ["edge", "nas"]), ("tag_gateway", ["edge"]), ("user_alice", ["laptop"])],
)
def test_tags_and_users_make_groups(inventory: Inventory, server: Server, group: str, members: list[str]) -> None:
    assert inventory.groups(NAME, text(server))[group] == members


def test_nobody_is_no_group(inventory: Inventory, server: Server) -> None:
    assert [group for group in inventory.groups(NAME, text(server)) if "tagged" in group] == []


def test_a_host_is_reached_at_its_mesh_address(inventory: Inventory, server: Server) -> None:
    assert inventory.hosts(NAME, text(server))["nas"]["ansible_host"] == "100.64.0.2"


def test_a_host_is_reached_by_ipv6_where_asked(inventory: Inventory, server: Server) -> None:
    assert inventory.hosts(NAME, text(server, "family: ipv6"))["nas"]["ansible_host"] == "fd7a:115c:a1e0::2"


def test_what_headscale_knows_becomes_variables(inventory: Inventory, server: Server) -> None:
    nas = inventory.hosts(NAME, text(server))["nas"]
    assert nas["headscale_last_seen"] == "2026-11-23T06:01:02.123456789Z"
    assert nas["headscale_routes"] == ["10.1.0.0/24"]
    assert nas["headscale_available_routes"] == ["10.1.0.0/24", "10.2.0.0/24"]


def test_every_page_is_read(inventory: Inventory, server: Server) -> None:
    server.pages = [[each] for each in NODES]
    assert sorted(inventory.hosts(NAME, text(server))) == ["edge", "laptop", "nas"]
    assert server.asked[-1] == "/api/v1/node?pageToken=3"


def test_a_headscale_without_nodes_has_no_hosts(inventory: Inventory, server: Server) -> None:
    server.body = b"{}"  # it leaves out what is empty
    assert inventory.hosts(NAME, text(server)) == {}


def test_the_key_may_come_from_the_environment(inventory: Inventory, server: Server) -> None:
    inventory.environment["HEADSCALE_CLI_API_KEY"] = KEY
    assert "nas" in inventory.hosts(NAME, text(server, key=""))


def test_groups_can_be_keyed(inventory: Inventory, server: Server) -> None:
    groups = inventory.groups(NAME, text(server, "keyed_groups: [{key: headscale_routes, prefix: via}]"))
    assert groups["via_10_1_0_0_24"] == ["nas"]


def test_a_cache_spares_the_second_question(inventory: Inventory, server: Server) -> None:
    cached = text(
        server,
        "cache: true",
        "cache_plugin: ansible.builtin.jsonfile",
        f"cache_connection: {inventory.home}/cache",
    )
    graphs = [inventory.hosts(NAME, cached) for _ in range(2)]
    assert (graphs[0] == graphs[1], len(server.asked)) == (True, 1)
    assert [path for path in (inventory.home / "cache").iterdir() if KEY in path.read_text()] == []


def test_an_authority_of_ones_own_can_be_trusted(inventory: Inventory, server: Server) -> None:
    with serving(server, write_certificate(inventory.home / "ca.pem")):
        assert "nas" in inventory.hosts(NAME, text(server, "ca_file: ca.pem", scheme="https"))


# What goes wrong names the file and the fix, and never tells the key.


def refusal(inventory: Inventory, said: str) -> str:
    told = inventory.refusal(NAME, said)
    assert f"{inventory.home}/{NAME}: " in told
    assert KEY not in told
    return told


def test_a_certificate_that_nobody_trusts_is_refused(inventory: Inventory, server: Server) -> None:
    with serving(server, write_certificate(inventory.home / "ca.pem")):
        told = refusal(inventory, text(server, scheme="https"))
    assert "is not trusted" in told
    assert "Set ca_file" in told
    assert server.asked == []


def test_a_wrong_key_is_refused(inventory: Inventory, server: Server) -> None:
    (inventory.home / "key").write_text("hskey-api-other")
    assert "does not take the API key (401). It may have expired" in refusal(inventory, text(server))


def test_a_key_that_others_can_read_is_refused(inventory: Inventory, server: Server) -> None:
    (inventory.home / "key").chmod(0o644)
    assert "can be read by others (mode 0644); run `chmod 600" in refusal(inventory, text(server))


def test_a_key_in_the_file_itself_is_refused(inventory: Inventory, server: Server) -> None:
    assert "a key does not belong into this file" in refusal(inventory, text(server, key=f"api_key: {KEY}"))


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ({"key": ""}, "no API key is given. Set api_key_file"),
        ({"key": "api_key_file: nowhere"}, "nowhere cannot be read: No such file or directory"),
    ],
)
def test_a_missing_key_is_named(inventory: Inventory, server: Server, lines: dict[str, str], told: str) -> None:
    assert told in refusal(inventory, text(server, **lines))


def test_a_key_does_not_travel_in_the_clear(inventory: Inventory, server: Server) -> None:
    lines = text(server).replace(f"http://127.0.0.1:{server.port}", "http://headscale.example.com")
    assert "over which the API key would travel in the clear; use https" in refusal(inventory, lines)


def test_a_url_that_is_none_is_refused(inventory: Inventory, server: Server) -> None:
    assert 'found "headscale", expected https://NAME' in refusal(
        inventory, text(server).replace(f"http://127.0.0.1:{server.port}", "headscale")
    )


def test_a_redirect_is_not_followed_with_the_key(inventory: Inventory, server: Server) -> None:
    server.status, server.location = 302, "http://elsewhere.example.com/"
    assert "sends us on to http://elsewhere.example.com/" in refusal(inventory, text(server))


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (404, b"", "is not there (404). Our coordinator serves the API on its own loopback only"),
        (500, b"", "answers 500; see Headscale's journal"),
        (200, b"<html>", "does not answer as Headscale does"),
        (200, b"[]", "does not answer as Headscale does"),
    ],
)
def test_what_is_no_headscale_is_named(
    inventory: Inventory, server: Server, status: int, body: bytes, told: str
) -> None:
    server.status, server.body = status, body
    assert told in refusal(inventory, text(server))


def test_a_server_that_hangs_is_given_up(inventory: Inventory, server: Server) -> None:
    server.wait = 3
    assert "did not answer within 1 s" in refusal(inventory, text(server, "timeout: 1"))


def test_a_server_that_is_away_is_named(inventory: Inventory) -> None:
    server = Server()
    (inventory.home / "key").write_text(KEY)
    (inventory.home / "key").chmod(0o600)
    with serving(server):
        pass
    assert "cannot be reached" in refusal(inventory, text(server))
