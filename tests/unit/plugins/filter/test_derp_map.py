# SPDX-License-Identifier: MIT

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.filter.derp_map import derp_map
from tests.unit.plugins.plugin_utils.mesh_world import model
from tests.unit.plugins.plugin_utils.test_relays import relays

PIN = f"sha256-raw:{64 * 'a'}"
TWO = model(**relays("out", "edge"))
NUMBERS = {name: relay["region"] for name, relay in TWO["derp"].items()}


def by_code(found: list[dict[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
    return {region["regioncode"]: region for region in found}


def test_a_relay_with_a_certificate_of_its_own_is_published_with_its_address_and_its_pin() -> None:
    assert by_code(derp_map(TWO, [PIN, PIN]))["out"]["nodes"] == [
        {
            "name": f"{NUMBERS['out']}a",
            "regionid": NUMBERS["out"],
            "hostname": "203.0.113.14",
            "derpport": 443,
            "stunport": 3478,
            "canport80": False,
            "ipv4": "203.0.113.14",
            "ipv6": "none",
            "certname": PIN,
        }
    ]


def test_a_relay_with_a_name_is_published_without_a_pin() -> None:
    named = model(**relays("out", out={"mesh_public_address": "relay.example.com"}))
    (region,) = derp_map(named, [""])
    assert "certname" not in region["nodes"][0]
    assert region["nodes"][0]["hostname"] == "relay.example.com"


def test_regions_come_by_their_numbers() -> None:
    assert [region["regionid"] for region in derp_map(TWO, [PIN, PIN])] == sorted(NUMBERS.values())


def test_a_relay_that_was_not_found_up_is_not_published() -> None:
    assert set(by_code(derp_map(TWO, [False, PIN]))) == {"out"}
    assert derp_map(TWO) == []


def test_a_relay_that_this_run_did_not_ask_stays_as_it_is_published() -> None:
    published = derp_map(TWO, [PIN, PIN])
    assert derp_map(TWO, [], published) == published
    assert derp_map(TWO, [False, PIN], published) == published


def test_a_new_pin_takes_the_place_of_the_published_one() -> None:
    new = PIN.replace("a" * 64, "b" * 64)
    assert by_code(derp_map(TWO, [False, new], derp_map(TWO, [PIN, PIN])))["out"]["nodes"][0]["certname"] == new


def test_a_relay_that_the_inventory_no_longer_has_leaves_the_map() -> None:
    published = derp_map(TWO, [PIN, PIN])
    assert set(by_code(derp_map(model(**relays("out")), [], published))) == {"out"}
    assert derp_map(model(), [], published) == []


@pytest.mark.parametrize(
    ("up", "message"),
    [
        (["not a pin", PIN], "the relay edge has a self-made certificate, and the pin 'not a pin'"),
        ([PIN], "up must have .* for each of 2 relays"),
        (PIN, "up must have"),
        ([1, 2], "up must have"),
    ],
)
def test_refuses_what_is_no_state_of_the_relays(up: object, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"derp_map: {message}"):
        derp_map(TWO, up)


@pytest.mark.parametrize("published", ["x", [1], [{"nodes": []}], [{"regioncode": "x", "nodes": None}]])
def test_refuses_what_is_no_map(published: object) -> None:
    with pytest.raises(AnsibleFilterError, match=r"derp_map: (a )?published"):
        derp_map(TWO, [], published)
