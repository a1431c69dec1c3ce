# SPDX-License-Identifier: MIT

from __future__ import annotations

import itertools

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.filter.mesh_paths import mesh_paths
from tests.unit.plugins.plugin_utils.mesh_world import model

# What two NATs in different homes come to; the order does not matter.
TABLE = {
    ("public", "public"): "direct",
    ("public", "easy"): "direct",
    ("public", "hard"): "direct",
    ("public", "full-cone"): "direct",
    ("public", "cgnat"): "direct",
    ("public", "udp-blocked"): "relay",
    ("public", "auto"): "unknown",
    ("easy", "easy"): "direct",
    ("easy", "hard"): "relay",
    ("easy", "full-cone"): "direct",
    ("easy", "cgnat"): "unknown",
    ("easy", "udp-blocked"): "relay",
    ("easy", "auto"): "unknown",
    ("hard", "hard"): "relay",
    ("hard", "full-cone"): "direct",
    ("hard", "cgnat"): "unknown",
    ("hard", "udp-blocked"): "relay",
    ("hard", "auto"): "unknown",
    ("full-cone", "full-cone"): "direct",
    ("full-cone", "cgnat"): "direct",
    ("full-cone", "udp-blocked"): "relay",
    ("full-cone", "auto"): "unknown",
    ("cgnat", "cgnat"): "unknown",
    ("cgnat", "udp-blocked"): "relay",
    ("cgnat", "auto"): "unknown",
    ("udp-blocked", "udp-blocked"): "relay",
    ("udp-blocked", "auto"): "relay",
    ("auto", "auto"): "unknown",
}


def predicted(one: str, other: str, home: str | None = None) -> set[str]:
    """What nas and laptop get with these NATs; with a home, in the same one."""
    hosts = {
        "nas": {"mesh_nat": one, "mesh_home": home or "cabin"},
        "laptop": {"mesh_nat": other, "mesh_home": home or "office"},
    }
    pair = {"nas", "laptop"}
    return {each["predicted"] for each in mesh_paths(model(hosts=hosts)) if {each["from"], each["to"]} == pair}


@pytest.mark.parametrize(("one", "other"), TABLE)
def test_two_homes(one: str, other: str) -> None:
    assert predicted(one, other) == predicted(other, one) == {TABLE[one, other]}


@pytest.mark.parametrize(("one", "other"), TABLE)
def test_one_home_is_direct(one: str, other: str) -> None:
    assert predicted(one, other, "attic") == {"direct"}


def test_the_demo_is_as_measured() -> None:
    paths = {(each["from"], each["to"]): each["predicted"] for each in mesh_paths(model())}
    assert list(paths) == list(itertools.permutations(["edge", "laptop", "mini-1", "mini-2", "nas"], 2))
    direct = {pair for pair, path in paths.items() if path == "direct"}
    one_way = {("edge", "mini-1"), ("edge", "mini-2"), ("edge", "nas"), ("mini-1", "mini-2")}
    assert direct == one_way | {(to, source) for source, to in one_way}
    assert {paths[pair] for pair in paths if "laptop" in pair} == {"relay"}


def test_refuses_what_is_no_model() -> None:
    with pytest.raises(AnsibleFilterError, match="mesh_paths: the model has no 'domain'"):
        mesh_paths({})
