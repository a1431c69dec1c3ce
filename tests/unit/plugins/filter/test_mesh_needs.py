# SPDX-License-Identifier: MIT

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.filter.mesh_needs import mesh_needs
from tests.unit.plugins.plugin_utils.mesh_world import model


def test_what_gateways_and_admins_need_comes_with_its_words() -> None:
    needs = mesh_needs(model())
    hello = "gateways reach the service hello on mini-1 (tcp 8000)"
    gateways = [each for each in needs if each["src"] == "tag:gateway"]
    assert gateways[0] == {"src": "tag:gateway", "proto": "tcp", "dst": "tag:node-mini-1:8000", "what": hello}
    nodes = ["edge", "laptop", "mini-1", "mini-2", "nas"]
    alice = [each for each in needs if each["src"] == "alice@example.com"]
    assert [(each["dst"], each["what"]) for each in alice] == [
        (f"tag:node-{node}:22", f"alice@example.com, of mesh_admins, reaches SSH of {node}") for node in nodes
    ]
    laptop = [each["dst"] for each in needs if each["src"] == "tag:node-laptop"]
    assert laptop == [f"tag:node-{node}:22" for node in nodes if node != "laptop"]
    assert len(needs) == 2 + 5 + 4


def test_that_an_operator_would_be_cut_off_is_said_first() -> None:
    """A refusal tells only some."""
    whats = [need["what"] for need in mesh_needs(model())]
    assert whats == sorted(whats, key=lambda what: "mesh_admins" not in what)


def test_where_tailscaled_answers_ssh_admins_need_a_login_too() -> None:
    needs = [each for each in mesh_needs(model(hosts={"nas": {"tailscaled_ssh": True}})) if each["proto"] == "ssh"]
    assert [(each["src"], each["dst"]) for each in needs] == [
        ("tag:node-laptop", "tag:node-nas:22"),
        ("alice@example.com", "tag:node-nas:22"),
    ]
    assert needs[0]["what"] == "laptop, of mesh_admins, logs in to nas as root"


def test_refuses_what_is_no_model() -> None:
    with pytest.raises(AnsibleFilterError, match="mesh_needs: the model has no 'domain'"):
        mesh_needs({})
