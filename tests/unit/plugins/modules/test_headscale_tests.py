# SPDX-License-Identifier: MIT
"""The tests of a policy, and what it must leave open, as the modules keep them in a small Headscale."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.modules import headscale_node, headscale_policy
from tests.unit.plugins.modules.test_headscale import call, headscale, key_file

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.plugins.modules.headscale_server import Headscale

    Run = Callable[..., dict[str, t.Any]]

__all__ = ["call", "headscale", "key_file"]

MINI, NAS = {"name": "mini-1", "tags": ["tag:mini"]}, {"name": "nas", "tags": ["tag:nas"]}
NODES = [MINI, NAS]
RULES = {"grants": [], "tagOwners": {"tag:mini": [], "tag:nas": []}}
WITHIN = {"src": "tag:mini", "proto": "tcp", "accept": ["tag:mini:22"]}
BETWEEN = {"src": "tag:mini", "proto": "tcp", "accept": ["tag:mini:22", "tag:nas:22"], "deny": ["tag:nas:9"]}
SSH = {"src": "tag:mini", "dst": ["tag:mini", "tag:nas"], "accept": ["root"]}
POLICY = RULES | {"tests": [BETWEEN], "sshTests": [SSH]}
PRUNED = RULES | {"tests": [WITHIN], "sshTests": [SSH | {"dst": ["tag:mini"]}]}
NEEDS = [
    {"src": "tag:mini", "proto": "tcp", "dst": "tag:nas:80", "what": "gateways reach the service blog on nas (tcp 80)"},
    {"src": "alice@", "proto": "tcp", "dst": "tag:nas:22", "what": "alice@, of mesh_admins, reaches SSH of nas"},
]


def in_force(headscale: Headscale) -> t.Any:
    return json.loads(headscale.policy or "null")


def test_a_test_is_left_out_while_one_of_its_ends_has_not_joined(call: Run, headscale: Headscale) -> None:
    headscale.node("mini-1", tags=["tag:mini"])
    assert call(headscale_policy, policy=POLICY, nodes=NODES)["failed"] is False
    assert in_force(headscale) == PRUNED


def test_a_node_that_has_other_tags_yet_has_not_joined_as_what_it_will_be(call: Run, headscale: Headscale) -> None:
    headscale.node("mini-1", tags=["tag:mini"])
    headscale.node("nas", tags=["tag:mini", "tag:nas"])
    call(headscale_policy, policy=POLICY, nodes=NODES)
    assert in_force(headscale) == PRUNED


def test_a_test_of_other_things_than_tags_stays(call: Run, headscale: Headscale) -> None:
    own = RULES | {"tests": [{"src": "alice@", "accept": ["100.64.0.9:22"]}]}
    call(headscale_policy, policy=own, nodes=NODES)
    assert in_force(headscale) == own


def test_tests_in_force_stay_while_their_node_is_away(call: Run, headscale: Headscale) -> None:
    headscale.policy = json.dumps(POLICY)
    headscale.node("mini-1", tags=["tag:mini"])
    assert call(headscale_policy, policy=POLICY, nodes=NODES)["changed"] is False


def test_a_test_that_is_wanted_no_more_goes(call: Run, headscale: Headscale) -> None:
    headscale.policy = json.dumps(POLICY)
    result = call(headscale_policy, policy=RULES, nodes=NODES)
    assert (result["changed"], result["diff"]["after_header"], in_force(headscale)) == (
        True,
        "the policy's tests",
        RULES,
    )


def test_nodes_that_are_settled_bring_their_tests(call: Run, headscale: Headscale) -> None:
    headscale.policy = json.dumps(RULES)
    headscale.node("mini-1", tags=["tag:mini"])
    headscale.node("nas", tags=["tag:old"])
    result = call(headscale_node, nodes=NODES, policy=POLICY)
    assert [each["after_header"] for each in result["diff"]] == ["node nas", "the policy's tests"]
    assert in_force(headscale) == POLICY
    assert call(headscale_node, nodes=NODES, policy=POLICY)["changed"] is False


def test_a_node_that_does_not_come_takes_its_tests_along(call: Run, headscale: Headscale) -> None:
    headscale.policy = json.dumps(POLICY)
    headscale.node("mini-1", tags=["tag:mini"])
    assert call(headscale_node, nodes=NODES, policy=POLICY)["changed"] is True
    assert in_force(headscale) == PRUNED


@pytest.mark.parametrize("state", ["absent", "expired"])
def test_the_last_node_of_a_tag_takes_its_tests_along(call: Run, headscale: Headscale, state: str) -> None:
    headscale.node("mini-1", tags=["tag:mini"])
    headscale.node("nas", tags=["tag:nas"])
    call(headscale_policy, policy=POLICY, nodes=NODES)
    gone = [{"name": "nas", "state": state}]
    foretold = call(headscale_node, check=True, nodes=gone)
    assert foretold["diff"] == call(headscale_node, nodes=gone)["diff"]
    assert in_force(headscale) == PRUNED


def test_a_persons_own_text_and_other_rules_are_not_touched_for_their_tests(call: Run, headscale: Headscale) -> None:
    headscale.node("mini-1", tags=["tag:mini"])
    for other in ('{"grants": [], "tests": []} // mine', json.dumps(RULES | {"grants": [{}]})):
        headscale.policy = other
        call(headscale_node, nodes=[MINI, {"name": "x", "state": "absent"}], policy=POLICY)
        assert headscale.policy == other


@pytest.mark.parametrize("before", [None, RULES, POLICY, RULES | {"grants": [{"src": ["*"]}]}])
def test_a_check_foretells_what_becomes_of_tests_when_a_node_joins(
    call: Run, headscale: Headscale, before: dict[str, t.Any] | None
) -> None:
    headscale.policy = before and json.dumps(before)
    headscale.keys.append("hskey-api-old")
    headscale.node("mini-1", tags=["tag:mini"])
    call(headscale_policy, policy=json.loads(headscale.policy or '{"grants": []}'))  # makes the key
    headscale.policy = before and json.dumps(before)
    joins = [MINI, NAS | {"joins": True}]
    foretold = [
        call(headscale_policy, check=True, policy=POLICY, nodes=joins)["diff"],
        call(headscale_node, check=True, nodes=joins, policy=POLICY)["diff"],
    ]
    done = [call(headscale_policy, policy=POLICY, nodes=joins)["diff"]]
    headscale.node("nas", tags=["tag:nas"])
    done.append(call(headscale_node, nodes=joins, policy=POLICY)["diff"])
    assert foretold == done


def test_a_policy_that_takes_away_what_is_needed_is_refused_in_words(call: Run, headscale: Headscale) -> None:
    headscale.node("mini-1", tags=["tag:mini"])
    headscale.node("nas", tags=["tag:nas"])
    headscale.node("phone", tags=[], user={"name": "alice"})
    headscale.fails = [
        "tag:mini -> tag:nas:80 (tcp): expected ALLOWED, got DENIED",
        "alice@ -> tag:nas:22 (tcp): expected ALLOWED, got DENIED",
        "tag:mini -> tag:nas:9 (tcp): expected DENIED, got ALLOWED",
    ]
    result = call(headscale_policy, policy=POLICY, nodes=NODES, needs=NEEDS)
    assert result["failed"]
    assert (
        "this would no longer be so: gateways reach the service blog on nas (tcp 80); "
        "alice@, of mesh_admins, reaches SSH of nas; tag:mini does not reach tag:nas:9 by tcp. Allow it in"
    ) in result["msg"]
    assert (headscale.policy, headscale.writes()) == (None, [])


def test_a_policy_is_checked_for_what_is_needed_also_when_it_stays(call: Run, headscale: Headscale) -> None:
    headscale.node("mini-1", tags=["tag:mini"])
    headscale.node("nas", tags=["tag:nas"])
    call(headscale_policy, policy=RULES, nodes=NODES)
    headscale.fails = ["tag:mini -> tag:nas:80 (tcp): expected ALLOWED, got DENIED"]
    assert call(headscale_policy, policy=RULES, nodes=NODES, needs=NEEDS)["failed"]


@pytest.mark.parametrize(
    ("user", "asked"),
    [(None, []), ({"name": "bob"}, []), ({"name": "alice"}, ["alice@"]), ({"email": "alice@"}, ["alice@"])],
)
def test_what_is_needed_of_a_person_is_asked_when_a_device_of_hers_is_there(
    call: Run, headscale: Headscale, user: dict[str, str] | None, asked: list[str]
) -> None:
    headscale.node("nas", tags=["tag:nas"])
    if user is not None:
        headscale.node("phone", tags=[], user=user)
    call(headscale_policy, policy=RULES, nodes=NODES, needs=NEEDS)
    assert [test["src"] for test in headscale.checked()[-1]["tests"]] == asked
    assert "tests" not in in_force(headscale)


def test_a_policy_that_is_taken_half_is_put_back(call: Run, headscale: Headscale) -> None:
    call(headscale_policy, policy=RULES)
    headscale.full = True
    result = call(headscale_policy, policy=RULES | {"groups": {}})
    assert "disk is full" in result["msg"]
    assert in_force(headscale) == RULES


def test_a_policy_whose_tests_no_longer_hold_is_put_back_without_them(call: Run, headscale: Headscale) -> None:
    headscale.node("mini-1", tags=["tag:mini"])
    call(headscale_policy, policy=RULES | {"tests": [WITHIN]})
    headscale.full, headscale.refuses = True, "tag:mini:22"
    assert call(headscale_policy, policy=RULES | {"groups": {}})["failed"]
    assert in_force(headscale) == RULES


def test_a_headscale_that_cannot_check_sets_what_it_takes(call: Run, headscale: Headscale) -> None:
    headscale.answers = {"/api/v1/policy/check": (404, {"message": "Not Found"})}
    assert call(headscale_policy, policy=RULES)["failed"] is False
    assert in_force(headscale) == RULES
