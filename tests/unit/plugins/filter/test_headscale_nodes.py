# SPDX-License-Identifier: MIT

from __future__ import annotations

import copy

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.filter.headscale_nodes import FilterModule, headscale_nodes
from tests.unit.plugins.plugin_utils.mesh_world import model

NAMES = ["edge", "laptop", "mini-1", "mini-2", "nas"]


def test_each_node_comes_with_all_its_tags_in_order() -> None:
    mesh = model()
    before = copy.deepcopy(mesh)
    nodes = headscale_nodes(mesh)
    assert [each["name"] for each in nodes] == NAMES
    tags = ["tag:gateway", "tag:node", "tag:node-edge"]
    assert nodes[0] == {"name": "edge", "tags": tags, "key": "", "joins": False}
    assert mesh == before


def test_keys_go_to_the_nodes_in_their_order() -> None:
    keys = ["nodekey:1", "", "nodekey:3", "", ""]
    assert [each["key"] for each in headscale_nodes(model(), keys)] == keys


def test_a_node_that_was_asked_and_has_no_key_joins_in_this_run() -> None:
    nodes = headscale_nodes(model(), ["nodekey:1", "", False, False, False])
    assert [(each["key"], each["joins"]) for each in nodes[:3]] == [("nodekey:1", False), ("", True), ("", False)]


@pytest.mark.parametrize(
    ("mesh", "keys", "reason"),
    [
        (model(), ["nodekey:1"], "headscale_nodes: 1 keys for 5 nodes; give one for each, or none"),
        ({}, [], "headscale_nodes: the model has no 'domain'"),
        ("mesh", [], "headscale_nodes: "),
    ],
)
def test_refuses(mesh: object, keys: list[str], reason: str) -> None:
    with pytest.raises(AnsibleFilterError, match=reason):
        headscale_nodes(mesh, keys)


def test_is_known_by_its_name() -> None:
    assert FilterModule().filters() == {"headscale_nodes": headscale_nodes}
