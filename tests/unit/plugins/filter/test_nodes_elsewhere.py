# SPDX-License-Identifier: MIT

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.filter.nodes_elsewhere import FilterModule, nodes_elsewhere
from tests.unit.plugins.plugin_utils.mesh_world import model


def look(server: str, state: str = "Running", key: bool = True) -> dict[str, t.Any]:
    return {"node": {"status": {"BackendState": state, "HaveNodeKey": key}, "preferences": {"ControlURL": server}}}


def found(*looks: object) -> list[str]:
    """Of the demo, whose other nodes were not asked."""
    return nodes_elsewhere(model(), [*looks, *[{}] * (5 - len(looks))])


def test_a_node_of_another_coordinator_is_named_with_both() -> None:
    assert found(look("https://hub.example.com"), look("https://old.example.com")) == [
        "laptop is a node of https://old.example.com, and should be one of https://hub.example.com. Nothing was "
        "changed. To move laptop, run `tailscale logout` on it first."
    ]


@pytest.mark.parametrize(
    "here",
    [
        look("https://hub.example.com/"),
        look("https://old.example.com", state="NeedsLogin"),
        look("https://old.example.com", key=False),
        {"node": {}},
        {"failed": True, "msg": "unreachable"},
        {},
        None,
    ],
)
def test_all_others_may_join(here: object) -> None:
    assert found(here) == []


def test_what_is_no_answer_for_each_node_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="nodes_elsewhere: 1 looks for 5 nodes"):
        nodes_elsewhere(model(), [{}])


def test_the_filter_has_its_name() -> None:
    assert FilterModule().filters() == {"nodes_elsewhere": nodes_elsewhere}
