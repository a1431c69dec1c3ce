# SPDX-License-Identifier: MIT

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.filter.mesh_policy import mesh_policy
from tests.unit.plugins.plugin_utils.mesh_world import model
from tests.unit.plugins.plugin_utils.test_relays import relays


def test_the_demo_allows_exactly_this() -> None:
    policy = mesh_policy(model())
    assert policy["grants"] == [
        {"src": ["tag:node"], "dst": ["tag:node"], "ip": ["tcp:7733"]},
        {"src": ["tag:gateway"], "dst": ["tag:node-mini-1"], "ip": ["tcp:8000"]},
        {"src": ["tag:gateway"], "dst": ["tag:node-mini-2"], "ip": ["tcp:8000"]},
        {"src": ["alice@example.com", "tag:node-laptop"], "dst": ["tag:node"], "ip": ["tcp:22"]},
    ]


def test_the_demo_is_tested_for_exactly_this() -> None:
    tests = {(test["src"], test["proto"]): test for test in mesh_policy(model())["tests"]}
    minis = ["tag:node-mini-1:8000", "tag:node-mini-2:8000"]
    others, proxy = ["edge", "mini-1", "mini-2", "nas"], "tag:node-mini-2:1055"
    assert tests.pop(("tag:gateway", "tcp"))["accept"] == minis
    assert tests.pop(("tag:node", "tcp"))["accept"] == [
        f"tag:node-{each}:7733" for each in ("edge", "laptop", *others[1:])
    ]
    assert tests["tag:node-laptop", "tcp"]["accept"] == [f"tag:node-{each}:22" for each in others]
    assert tests["tag:node-laptop", "tcp"]["deny"] == sorted(
        [*minis, proxy, *(f"tag:node-{each}:9" for each in others)]
    )
    nas = [f"tag:node-{each}:{port}" for each in ("edge", "laptop", "mini-1", "mini-2") for port in (22, 9)]
    assert tests["tag:node-nas", "tcp"] == {
        "src": "tag:node-nas",
        "proto": "tcp",
        "deny": sorted([*nas, *minis, proxy]),
    }
    assert len(tests) == 5


NOBODY = {"action": "accept", "src": ["tag:removed"], "dst": ["tag:removed"], "users": ["root"]}


def test_nobody_logs_in_by_tailscaled_where_it_does_not_answer_ssh() -> None:
    policy = mesh_policy(model())
    assert (policy["ssh"], "sshTests" in policy) == ([NOBODY], False)


def test_where_tailscaled_answers_ssh_admins_log_in_and_others_do_not() -> None:
    policy = mesh_policy(model(hosts={name: {"tailscaled_ssh": True} for name in ("nas", "edge")}))
    admins, ends = ["alice@example.com", "tag:node-laptop"], ["tag:node-edge", "tag:node-nas"]
    users = ["autogroup:nonroot", "root"]
    assert policy["ssh"] == [NOBODY, {"action": "accept", "src": admins, "dst": ends, "users": users}]
    tested = {(test["src"], *test["dst"]): "accept" in test for test in policy["sshTests"]}
    others = {(f"tag:node-{name}", "tag:node-nas") for name in ("edge", "mini-1", "mini-2")}
    assert {pair for pair, accepted in tested.items() if accepted} == {("tag:node-laptop", end) for end in ends}
    assert {pair for pair, accepted in tested.items() if not accepted} >= others


def test_each_grant_is_tested_by_its_protocol_and_its_first_port() -> None:
    grants = [
        {"from": ["nas", "bob@"], "to": ["mini-1"], "ports": ["udp:53", "tcp:445", "tcp:9000-9010"]},
        {"from": ["tag:gateway"], "to": ["nas"], "ports": ["tcp:*"]},
    ]
    tests = mesh_policy(model(everywhere={"mesh_grants": grants}))["tests"]
    accepted = {(test["src"], test["proto"], each) for test in tests for each in test.get("accept", [])}
    mini = [("tcp", 445), ("tcp", 9000), ("udp", 53)]
    wanted = {("tag:node-nas", protocol, f"tag:node-mini-1:{port}") for protocol, port in mini}
    assert accepted >= wanted | {("tag:gateway", "tcp", "tag:node-nas:1")}
    assert not any(test["src"] == "bob@" for test in tests)


def test_every_relay_is_tested_whatever_the_protocol() -> None:
    tests = mesh_policy(model(**relays("out", "edge")))["tests"]
    assert {"src": "tag:node", "accept": ["tag:node-edge:1", "tag:node-out:1"]} in tests


def test_all_ports_of_a_range_that_is_served_are_open_from_its_first_to_its_last() -> None:
    service = {"name": "game", "protocol": "udp", "port": "27015-27017"}
    tests = mesh_policy(model(hosts={"nas": {"mesh_services": [service]}}))["tests"]
    accept = [f"tag:node-nas:{port}" for port in (27015, 27017)]
    assert {"src": "tag:gateway", "proto": "udp", "accept": accept} in tests


def test_of_many_nodes_a_sample_is_tested_and_one_more_changes_little() -> None:
    def refused(count: int) -> set[str]:
        names = [f"box-{number}" for number in range(count)]
        mesh = model(hosts={name: {} for name in names}, groups={"nodes": [*model()["nodes"], *names]})
        return {f"{test['src']} {each}" for test in mesh_policy(mesh)["tests"] for each in test.get("deny", [])}

    few, more = refused(100), refused(101)
    assert 100 < len(few) < 200
    assert len(few ^ more) < 80


def test_each_tag_has_an_entry_and_nobody_owns_it() -> None:
    owners = mesh_policy(model())["tagOwners"]
    nodes = [f"tag:node-{name}" for name in ("edge", "laptop", "mini-1", "mini-2", "nas")]
    assert owners == {tag: [] for tag in ["tag:gateway", "tag:node", "tag:removed", *nodes]}


def test_nodes_keep_their_network_map() -> None:
    assert mesh_policy(model())["nodeAttrs"] == [{"target": ["*"], "attr": ["cache-network-maps"]}]


def test_without_services_and_admins_only_the_probe_port_is_open() -> None:
    bare = model(hosts={"mini-1": {"mesh_services": None}, "mini-2": {"mesh_services": None}},
                 everywhere={"mesh_admins": None})  # fmt: skip
    assert mesh_policy(bare)["grants"] == [{"src": ["tag:node"], "dst": ["tag:node"], "ip": ["tcp:7733"]}]


def test_extra_grants_name_nodes_by_their_tags() -> None:
    grants = [
        {"from": ["nas", "bob@"], "to": ["mini-1", "tag:gateway"], "ports": ["udp:53", "tcp:445"]},
        {"from": ["edge"], "to": ["nas"], "ports": ["tcp:*"]},
    ]
    assert mesh_policy(model(everywhere={"mesh_grants": grants}))["grants"][-2:] == [
        {"src": ["bob@", "tag:node-nas"], "dst": ["tag:gateway", "tag:node-mini-1"], "ip": ["tcp:445", "udp:53"]},
        {"src": ["tag:node-edge"], "dst": ["tag:node-nas"], "ip": ["tcp:*"]},
    ]


def test_groups_of_people_are_groups_of_the_policy() -> None:
    grants = [
        {"from": ["group:family"], "to": ["nas"], "ports": ["tcp:445"]},
        {"from": ["nas"], "to": ["group:family"], "ports": ["tcp:22"]},
    ]
    groups = {"family": ["bob@", "alice@example.com", "bob@"]}
    policy = mesh_policy(
        model(everywhere={"mesh_groups": groups, "mesh_grants": grants, "mesh_admins": ["group:family"]})
    )
    assert policy["groups"] == {"group:family": ["alice@example.com", "bob@"]}
    assert policy["grants"][-3:] == [
        {"src": ["alice@example.com", "bob@"], "dst": ["tag:node"], "ip": ["tcp:22"]},
        {"src": ["group:family"], "dst": ["tag:node-nas"], "ip": ["tcp:445"]},
        {"src": ["tag:node-nas"], "dst": ["group:family"], "ip": ["tcp:22"]},
    ]
    assert "groups" not in mesh_policy(model())


def test_every_node_shares_a_rule_with_every_relay_beside_that_of_the_probe() -> None:
    mesh = model(**relays("out", "edge"))
    without_probe = [grant for grant in mesh_policy(mesh)["grants"] if grant["ip"] != ["tcp:7733"]]
    assert {"src": ["tag:node"], "dst": ["tag:relay"], "ip": ["icmp:*"]} in without_probe
    assert all("tag:relay" in mesh["hosts"][relay]["tags"] for relay in ("out", "edge"))
    assert "tag:relay" in mesh_policy(mesh)["tagOwners"]


def test_every_node_may_send_through_a_peer_relay() -> None:
    mesh = model(hosts={"edge": {"tailscaled_relay_port": 40000}})
    grant = {"src": ["tag:node"], "dst": ["tag:node-edge"], "app": {"tailscale.com/cap/relay": []}}
    assert grant in mesh_policy(mesh)["grants"]


def test_the_same_model_gives_the_same_bytes_and_stays_as_it_is() -> None:
    mesh = model()
    before = copy.deepcopy(mesh)
    assert json.dumps(mesh_policy(mesh)) == json.dumps(mesh_policy(copy.deepcopy(mesh)))
    assert mesh == before


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "needs the model that wonder.mesh.mesh_model returns, not nothing"),
        ([], "not of type list"),
        (model() | {"nodes": "nas"}, "the model's 'nodes' is of type str, not sequence"),
        (model() | {"hosts": {}}, "the model's 'hosts' have no 'hub'"),
        (model() | {"services": [{}]}, "the model's service has no name"),
    ],
)
def test_refuses_what_is_no_model(value: t.Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"mesh_policy: .*{message}"):
        mesh_policy(value)
