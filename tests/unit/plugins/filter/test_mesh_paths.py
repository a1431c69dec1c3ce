# SPDX-License-Identifier: MIT

from __future__ import annotations

import itertools

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.filter.mesh_paths import mesh_paths
from tests.unit.plugins.plugin_utils.mesh_world import model

# How a NAT chooses the public port of a packet, and whom it lets in, as RFC 4787 tells them apart.
MAPPING = {
    "public": "the same for all",
    "easy": "the same for all",
    "full-cone": "the same for all",
    "hard": "one for each peer",
    "cgnat": "one for each peer",
    "udp-blocked": "none",
}
FILTERING = {
    "public": "everybody",
    "easy": "whom it was sent to",
    "full-cone": "everybody",
    "hard": "whom it was sent to",
    "cgnat": "whom it was sent to",
    "udp-blocked": "nobody",
}
KINDS = [*MAPPING, "auto"]
CELLS = [*itertools.product(KINDS, repeat=2)]


def theory(one: str, other: str) -> str:
    """What becomes of a pair whose relay tells each where it saw the other."""
    if MAPPING.get(one) == "none" or MAPPING.get(other) == "none":
        return "relay"  # not a packet passes
    if "auto" in (one, other):
        return "unknown"
    # Both send to where the relay saw the other. A packet comes in where everybody does, and is answered ...
    if "everybody" in (FILTERING[one], FILTERING[other]):
        return "direct"
    # ... and else where its source is what was sent to: that must be the port that the relay saw, on both sides.
    return "direct" if {MAPPING[one], MAPPING[other]} == {"the same for all"} else "relay"


def predicted(one: str, other: str, home: str | None = None) -> set[str]:
    """What nas and laptop get with these NATs; with a home, in the same one."""
    hosts = {
        "nas": {"mesh_nat": one, "mesh_home": home or "cabin"},
        "laptop": {"mesh_nat": other, "mesh_home": home or "office"},
    }
    pair = {"nas", "laptop"}
    return {each["predicted"] for each in mesh_paths(model(hosts=hosts)) if {each["from"], each["to"]} == pair}


@pytest.mark.parametrize(("one", "other"), CELLS)
def test_the_matrix_of_two_homes_is_what_mapping_and_filtering_come_to(one: str, other: str) -> None:
    assert predicted(one, other) == {theory(one, other)}


@pytest.mark.parametrize(("one", "other"), CELLS)
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
