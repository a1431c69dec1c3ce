# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import jinja2
import pytest
from ansible.errors import AnsibleFilterError
from ansible.plugins.filter.core import get_hash

from ansible_collections.wonder.mesh.plugins.filter.derp_map import derp_map
from ansible_collections.wonder.mesh.plugins.module_utils._derp_map import MapError, published, read
from tests.unit.plugins.plugin_utils.mesh_world import model
from tests.unit.plugins.plugin_utils.test_relays import relays

TEMPLATE = Path(__file__).parents[4] / "roles" / "headscale" / "templates" / "derp.yaml.j2"
PIN = f"sha256-raw:{64 * 'a'}"
TWO = model(**relays("out", "edge"))
NUMBERS = {name: relay["region"] for name, relay in TWO["derp"].items()}


def written(regions: t.Any) -> bytes:
    """The file that the role makes of them."""
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True)  # noqa: S701
    environment.filters |= {"to_json": json.dumps, "hash": get_hash}
    return environment.from_string(TEMPLATE.read_text()).render(__headscale_regions=regions).encode()


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


@pytest.mark.parametrize("published", ["x", [1], [{"nodes": []}], [{**derp_map(TWO, [PIN, PIN])[0], "nodes": None}]])
def test_refuses_what_is_no_map(published: object) -> None:
    with pytest.raises(AnsibleFilterError, match=r"derp_map: (published|a region|nodes)"):
        derp_map(TWO, [], published)


@pytest.mark.parametrize(
    ("out", "pin"),
    [
        ({"mesh_public_address": "203.0.113.14"}, PIN),
        ({"mesh_public_address": "2001:db8::14"}, PIN),
        ({"mesh_public_address": "relay.example.com", "derper_ipv4": "203.0.113.14", "derper_ipv6": "none"}, ""),
    ],
)
def test_a_map_is_read_from_the_host_as_it_was_made(tmp_path: Path, out: dict[str, t.Any], pin: str) -> None:
    regions = derp_map(model(**relays("out", "edge", out=out)), [PIN, pin])
    (tmp_path / "map").write_bytes(written(regions))
    assert len(regions) == 2
    assert published(str(tmp_path / "map")) == regions


def test_without_a_map_nothing_is_published(tmp_path: Path) -> None:
    assert published(str(tmp_path / "none")) == []


def test_of_a_map_that_was_edited_nothing_is_believed(tmp_path: Path) -> None:
    (tmp_path / "map").write_bytes(written(derp_map(TWO, [PIN, PIN])).replace(b"203.0.113.14", b"203.0.113.15"))
    assert published(str(tmp_path / "map")) is None


def look(*daemons: str, **certificates: str) -> dict[str, t.Any]:
    files = {f"/etc/derper/{name}": [pin, 2110000000] for name, pin in certificates.items()}
    return {"daemons": dict.fromkeys(daemons, "x"), "relays": {"certificates": files}}


OUTS, EDGES = look("derper", **{"203.0.113.14.pem": PIN}), look("derper", **{"203.0.113.11.pem": PIN})


def test_a_damaged_map_is_made_anew_from_what_was_seen_of_the_relays() -> None:
    assert derp_map(TWO, [], None, [EDGES, OUTS]) == derp_map(TWO, [PIN, PIN])
    new = PIN.replace(64 * "a", 64 * "b")
    assert derp_map(TWO, [new, False], None, [{}, OUTS]) == derp_map(TWO, [new, PIN])


def test_a_relay_that_was_none_yet_is_not_in_a_map_that_is_made_anew() -> None:
    named = model(**relays("edge", "out", out={"mesh_public_address": "relay.example.com"}))
    assert set(by_code(derp_map(named, [], None, [EDGES, look()]))) == {"edge"}
    assert set(by_code(derp_map(named, [], None, [look(), look("derper")]))) == {"out"}


@pytest.mark.parametrize("looks", [[], [EDGES], [EDGES, {}], [EDGES, {"unreachable": True}]])
def test_a_damaged_map_is_refused_when_it_is_needed_for_a_relay_that_was_not_looked_at(looks: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"is damaged, and .* how nodes find out: run once without --limit"):
        derp_map(TWO, [PIN, False], None, looks)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda regions: regions.clear(), r"its regions are \[\]"),
        (lambda regions: regions.reverse(), "in their order"),
        (lambda regions: regions[0].update(RegionID=917), "must have exactly regionid"),
        (lambda regions: regions[0]["nodes"].append(regions[1]["nodes"][0]), "nodes of a region cannot be"),
        (lambda regions: regions[0]["nodes"][0].update(regionid=998), "must be"),
        (lambda regions: regions[0]["nodes"][0].update(derpport=65536), "derpport of the relay .* cannot be 65536"),
        (lambda regions: regions[0]["nodes"][0].update(hostname="a b"), "cannot be 'a b'"),
        (lambda regions: regions[0]["nodes"][0].update(insecurefortests=True), "must have exactly"),
        (lambda regions: regions[0].update(regionid=1), "regionid of a region cannot be 1"),
    ],
)
def test_a_map_that_headscale_would_take_but_no_node_can_use_is_refused(change: t.Any, reason: str) -> None:
    regions = derp_map(TWO, [PIN, PIN])
    change(regions)
    with pytest.raises(MapError, match=reason):
        read(written(regions))
