# SPDX-License-Identifier: MIT

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.filter.wireguard_peers import wireguard_peers
from ansible_collections.wonder.mesh.plugins.plugin_utils import _wireguard_tables
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_plain import as_plain
from tests.unit.plugins.plugin_utils.wireguard_world import HOSTS, key, mesh, registry, tables

PLAIN = as_plain(mesh())


def test_a_fact_gives_the_same_table_as_the_mesh() -> None:
    fact = json.loads(json.dumps(PLAIN))
    before = copy.deepcopy(fact)
    assert {name: wireguard_peers(fact, name) for name in HOSTS} == tables(mesh())
    assert fact == before


def test_keys_of_this_run_come_before_those_of_the_model() -> None:
    fact = as_plain(mesh(known=registry(set(HOSTS) - {"nas"})))
    found = wireguard_peers(fact, "hub-1", {"nas": key("nas"), "van": key("new")})
    keys = {peer["name"]: peer["public_key"] for peer in found["peers"]}
    assert (keys["nas"], keys["van"], keys["barn"]) == (key("nas"), key("new"), key("barn"))


def test_one_host_does_not_pay_for_the_tables_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    table = _wireguard_tables.Plan.table
    monkeypatch.setattr(_wireguard_tables.Plan, "table", lambda self, name: made.append(name) or table(self, name))
    wireguard_peers(PLAIN, "nas")
    assert made == ["nas"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"topology": "ring"}, "the mesh's 'topology' is \"ring\""),
        ({"pools": "10.77.0.0/16"}, "the mesh's 'pools' is"),
        ({"hubs": ["nobody"]}, "the mesh's 'hubs' is"),
        ({"nodes": []}, "the mesh's 'nodes' is"),
        ({"nodes": {"hub-1": {}, "hub-2": {}}}, "the mesh's node hub-1 has not the fields addresses, "),
        ({"more": 1}, "needs a mesh with topology"),
    ],
)
def test_what_is_no_mesh_is_refused(changes: dict[str, t.Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"^wireguard_peers: {message}"):
        wireguard_peers({**PLAIN, **changes}, "nas")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("endpoints", [["a", 0]]),
        ("endpoints", ["a"]),
        ("port", True),
        ("outbound", 5),
        ("public_key", "x"),
        ("mtu", "9"),
    ],
)
def test_a_field_that_cannot_be_is_named(field: str, value: object) -> None:
    fact = {**PLAIN, "nodes": {**PLAIN["nodes"], "nas": {**PLAIN["nodes"]["nas"], field: value}}}
    with pytest.raises(AnsibleFilterError, match=rf"the mesh's node nas has .* as {field}, which it cannot be"):
        wireguard_peers(fact, "nas")


@pytest.mark.parametrize(
    ("node", "keys", "message"),
    [
        ("nobody", None, "'nobody' is no node; there are barn, hub-1"),
        (7, None, "7 is no node"),
        ("nas", {"nobody": key("x")}, "the keys must be a mapping by names of nodes"),
        ("nas", [], "the keys must be a mapping"),
        ("nas", {"nas": "x"}, "node nas has \"x\" as public_key"),
        ("nas", {"nas": key("van")}, "nas and van have the same public key"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(node: object, keys: object, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        wireguard_peers(PLAIN, node, keys)
