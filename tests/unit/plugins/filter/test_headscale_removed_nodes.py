# SPDX-License-Identifier: MIT

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.filter.headscale_removed_nodes import FilterModule, headscale_removed_nodes
from tests.unit.plugins.plugin_utils.mesh_world import model


def test_names_become_nodes_to_delete_each_once() -> None:
    expected = [{"name": "broken", "state": "absent"}, {"name": "old", "state": "absent"}]
    assert headscale_removed_nodes(model(), ["old", "broken", "old"]) == expected


def test_a_node_of_the_inventory_is_never_deleted() -> None:
    with pytest.raises(AnsibleFilterError, match="nas is the node of nas, which the inventory has"):
        headscale_removed_nodes(model(), ["old", "nas"])


def test_refuses_what_is_no_model() -> None:
    with pytest.raises(AnsibleFilterError, match="headscale_removed_nodes: the model has no 'domain'"):
        headscale_removed_nodes({}, [])


def test_is_known_by_its_name() -> None:
    assert FilterModule().filters() == {"headscale_removed_nodes": headscale_removed_nodes}
