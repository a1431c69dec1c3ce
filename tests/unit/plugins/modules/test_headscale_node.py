# SPDX-License-Identifier: MIT
"""``headscale_node``, against a small Headscale."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.modules import headscale_node
from tests.unit.plugins.modules.test_headscale import MINI, call, headscale, key_file

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.plugins.modules.headscale_server import Headscale

    Run = Callable[..., dict[str, t.Any]]

__all__ = ["call", "headscale", "key_file"]


def test_tags_and_routes_come_to_what_is_wanted_and_stay(call: Run, headscale: Headscale) -> None:
    headscale.node("mini-1", tags=["tag:old"], approvedRoutes=["10.0.0.0/8"])
    wanted = {"name": "mini-1", "tags": ["tag:node", "tag:gateway"], "routes": ["192.168.1.0/24"]}
    result = call(headscale_node, nodes=[wanted])
    assert result["changed"]
    assert result["diff"] == [
        {
            "before_header": "node mini-1",
            "after_header": "node mini-1",
            "before": "tags: tag:old\nroutes: 10.0.0.0/8\n",
            "after": "tags: tag:gateway, tag:node\nroutes: 192.168.1.0/24\n",
        }
    ]
    assert headscale.nodes[0]["tags"] == ["tag:gateway", "tag:node"]
    assert headscale.nodes[0]["approvedRoutes"] == ["192.168.1.0/24"]
    headscale.requests.clear()
    assert call(headscale_node, nodes=[wanted])["changed"] is False
    assert headscale.requests == [("GET", "/api/v1/node", None)]


def test_only_what_differs_is_written(call: Run, headscale: Headscale) -> None:
    headscale.node("mini-1", tags=["tag:b", "tag:a"])
    call(headscale_node, nodes=[{"name": "mini-1", "tags": ["tag:a", "tag:b"], "routes": ["10.0.0.0/8"]}])
    assert headscale.writes() == [("POST", "/api/v1/node/1/approve_routes", {"routes": ["10.0.0.0/8"]})]


def test_routes_that_are_no_longer_wanted_go(call: Run, headscale: Headscale) -> None:
    headscale.node("mini-1", approvedRoutes=["10.0.0.0/8"])
    call(headscale_node, nodes=[MINI])
    assert headscale.nodes[0]["approvedRoutes"] == []


def test_tells_what_it_knows_and_names_what_it_does_not(call: Run, headscale: Headscale) -> None:
    headscale.node("mini-1", online=False)
    result = call(headscale_node, nodes=[MINI, {"name": "nas", "tags": ["tag:node"]}])
    assert result["nodes"] == [
        {"name": "mini-1", "addresses": ["100.64.0.1"], "tags": ["tag:node"], "online": False},
    ]
    assert (result["unknown"], result["changed"]) == (["nas"], False)


def test_others_are_left_alone(call: Run, headscale: Headscale) -> None:
    headscale.node("phone", tags=[])
    call(headscale_node, nodes=[MINI])
    assert headscale.writes() == []


@pytest.mark.parametrize("check", [True, False])
def test_a_reinstalled_machine_gets_its_name_back(call: Run, headscale: Headscale, check: bool) -> None:
    call(headscale_node, nodes=[])  # the API key
    headscale.node("mini-1", online=False)
    new = headscale.node("mini-1-1", tags=["tag:node"])
    wanted = MINI | {"key": new["nodeKey"]}
    result = call(headscale_node, check=check, nodes=[wanted])
    assert [(each["before"], each["after"]) for each in result["diff"]] == [
        ("an offline node with another key\n", ""),
        ("name: mini-1-1\n", "name: mini-1\n"),
    ]
    assert [node["givenName"] for node in headscale.nodes] == (["mini-1", "mini-1-1"] if check else ["mini-1"])
    assert result["nodes"][0]["addresses"] == ["100.64.0.2"]
    if not check:
        assert call(headscale_node, nodes=[wanted])["changed"] is False


@pytest.mark.parametrize("check", [True, False])
def test_a_name_that_follows_the_machine_s_own_is_left_to_follow(call: Run, headscale: Headscale, check: bool) -> None:
    call(headscale_node, nodes=[])  # the API key
    node = headscale.node("oddly")
    node["name"] = "oddly"
    result = call(headscale_node, check=check, nodes=[MINI | {"key": node["nodeKey"]}])
    assert (result["changed"], result["unknown"], headscale.writes()) == (False, [], [])


def test_a_name_that_somebody_gave_is_taken_back(call: Run, headscale: Headscale) -> None:
    node = headscale.node("by-hand")
    node["name"] = "mini-1"
    call(headscale_node, nodes=[MINI | {"key": node["nodeKey"]}])
    assert headscale.nodes[0]["givenName"] == "mini-1"


def test_two_machines_of_one_name_are_refused(call: Run, headscale: Headscale) -> None:
    headscale.node("mini-1")
    new = headscale.node("mini-1-1")
    result = call(headscale_node, nodes=[MINI | {"key": new["nodeKey"]}])
    assert "two machines are the node mini-1" in result["msg"]
    assert headscale.writes() == []


@pytest.mark.parametrize("online", [True, False])
def test_two_wanted_nodes_that_swapped_their_names_are_not_deleted(
    call: Run, headscale: Headscale, online: bool
) -> None:
    one, other = headscale.node("nas", online=online), headscale.node("mini-1", online=online)
    wanted = [
        MINI | {"key": one["nodeKey"]},
        {"name": "nas", "tags": ["tag:node"], "key": other["nodeKey"]},
    ]
    call(headscale_node, nodes=wanted)
    assert len(headscale.nodes) == 2


def test_a_key_that_nobody_has_changes_nothing(call: Run, headscale: Headscale) -> None:
    headscale.node("mini-1")
    assert call(headscale_node, nodes=[MINI | {"key": "nodekey:99"}])["changed"] is False


def test_a_refusal_is_told_with_headscales_words(
    call: Run, headscale: Headscale, monkeypatch: pytest.MonkeyPatch
) -> None:
    headscale.node("mini-1", tags=[])
    answer = headscale.answer

    def refuse(method: str, path: str, body: t.Any) -> tuple[int, t.Any]:
        return (400, {"message": "tag:node is not owned"}) if path.endswith("/tags") else answer(method, path, body)

    monkeypatch.setattr(headscale, "answer", refuse)
    assert "with 400: tag:node is not owned" in call(headscale_node, nodes=[MINI])["msg"]


@pytest.mark.parametrize(
    ("state", "wanted"),
    [("expired", [("POST", "/1/expire"), ("POST", "/1/tags")]), ("absent", [("DELETE", "/1")])],
)
def test_only_the_named_node_is_taken_out(
    call: Run, headscale: Headscale, state: str, wanted: list[tuple[str, str]]
) -> None:
    headscale.node("nas")
    headscale.node("mini-1")
    result = call(headscale_node, nodes=[{"name": "nas", "state": state}])
    writes = [(method, path.removeprefix("/api/v1/node")) for method, path, _body in headscale.writes()]
    assert (result["changed"], writes) == (True, wanted)


def test_a_node_that_is_taken_out_loses_what_its_tags_were_granted(call: Run, headscale: Headscale) -> None:
    node = headscale.node("nas")
    call(headscale_node, nodes=[{"name": "nas", "state": "expired"}])
    assert node["tags"] == ["tag:removed"]
    assert node["expiry"].startswith("2026-")


def test_a_node_whose_login_ended_by_itself_is_taken_out_of_the_relays_too(call: Run, headscale: Headscale) -> None:
    node = headscale.node("nas", expiry="2026-01-01T00:00:00Z")
    assert call(headscale_node, nodes=[{"name": "nas", "state": "expired"}])["changed"]
    assert node["tags"] == ["tag:removed"]


@pytest.mark.parametrize("state", ["expired", "absent"])
def test_taken_out_twice_changes_nothing(call: Run, headscale: Headscale, state: str) -> None:
    headscale.node("nas")
    call(headscale_node, nodes=[{"name": "nas", "state": state}])
    headscale.requests.clear()
    assert call(headscale_node, nodes=[{"name": "nas", "state": state}])["changed"] is False
    assert headscale.writes() == []


def test_check_mode_foretells_who_is_taken_out(call: Run, headscale: Headscale) -> None:
    call(headscale_node, nodes=[])  # the API key
    headscale.node("nas")
    foretold = call(headscale_node, check=True, nodes=[{"name": "nas", "state": "absent"}])
    assert headscale.writes() == []
    assert foretold["diff"] == call(headscale_node, nodes=[{"name": "nas", "state": "absent"}])["diff"]


def test_a_logged_out_node_can_be_deleted_later(call: Run, headscale: Headscale) -> None:
    headscale.node("nas", expiry="2026-01-01T00:00:00Z", tags=["tag:removed"])
    result = call(headscale_node, nodes=[{"name": "nas", "state": "absent"}])
    assert (result["diff"][0]["before"], headscale.nodes) == ("logged out\n", [])


@pytest.mark.parametrize("expiry", [None, "0001-01-01T00:00:00Z", "2999-01-01T00:00:00Z"])
def test_a_node_that_may_log_in_is_not_taken_for_logged_out(
    call: Run, headscale: Headscale, expiry: str | None
) -> None:
    headscale.node("nas", expiry=expiry)
    assert call(headscale_node, nodes=[{"name": "nas", "state": "expired"}])["changed"]


def test_where_no_headscale_is_nobody_leaves_it(call: Run, headscale: Headscale) -> None:
    result = call(headscale_node, nodes=[{"name": "nas", "state": "absent"}], binary="/nowhere/headscale")
    assert (result["failed"], result["changed"], headscale.commands) == (False, False, [])


def test_a_present_node_needs_its_tags(call: Run, headscale: Headscale) -> None:
    assert "tags" in call(headscale_node, nodes=[{"name": "nas"}])["msg"]
