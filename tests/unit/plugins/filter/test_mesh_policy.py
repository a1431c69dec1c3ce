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
