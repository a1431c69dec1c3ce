# SPDX-License-Identifier: MIT
"""Where nodes find each relay, and which relays are refused before the first change."""

from __future__ import annotations

import datetime
import re
import typing as t
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wonder.mesh.plugins.module_utils._derp_map import REGIONS
from ansible_collections.wonder.mesh.plugins.plugin_utils._plan import public_ports
from ansible_collections.wonder.mesh.plugins.plugin_utils._programs import find
from ansible_collections.wonder.mesh.plugins.plugin_utils._relays import regions
from fleet.authority import Authority
from tests.unit.plugins.plugin_utils.mesh_world import GROUPS, NOW, build, model, world

OUT = {"mesh_public_address": "203.0.113.14"}
PAIR = {"certificate": "relay.pem", "key": "relay.key"}


def relays(*names: str, nodes: tuple[str, ...] = (), **hosts: dict[str, t.Any]) -> dict[str, t.Any]:
    """The demo with these relays; a host named ``out`` is new in it."""
    added = [name for name in (*names, *nodes) if name not in GROUPS["nodes"]]
    return {"groups": {"relays": list(names), "nodes": [*GROUPS["nodes"], *added]}, "hosts": {"out": OUT, **hosts}}


def issue(*names: str | IPv4Address) -> dict[str, bytes]:
    certificate, key = Authority("an authority").issue(names)
    return {"relay.pem": certificate.encode(), "relay.key": key.encode()}


def with_files(files: dict[str, bytes], now: datetime.datetime = NOW) -> t.Any:
    around = world(read=lambda path: files[path])
    return type(around)(*[now if name == "now" else value for name, value in vars(around).items()])


def test_a_relay_with_an_address_makes_its_own_certificate_and_has_the_port_of_the_web() -> None:
    assert model(**relays("out"))["derp"]["out"] == {
        "region": regions(["out"])["out"],
        "hostname": "203.0.113.14",
        "port": 443,
        "ipv4": "203.0.113.14",
        "ipv6": "none",
        "certificate": "self-made",
    }


def test_a_relay_beside_caddy_has_another_port() -> None:
    assert model(**relays("edge", "out"))["derp"]["edge"]["port"] == 8443


def test_a_relay_with_a_name_gets_its_certificate_by_acme() -> None:
    found = model(**relays("out", out={"mesh_public_address": "relay.example.com", "derper_ipv4": "203.0.113.14"}))
    assert found["derp"]["out"]["certificate"] == "acme"
    assert (found["derp"]["out"]["hostname"], found["derp"]["out"]["ipv4"]) == ("relay.example.com", "203.0.113.14")


def test_a_name_with_a_certificate_may_have_any_port() -> None:
    mine = {"derper_hostname": "relay.example.com", "derper_certificate": PAIR, "derper_port": 4443}
    around = with_files(issue("relay.example.com"), datetime.datetime.now(datetime.UTC))
    found = model(**relays("out", "edge", edge=mine), around=around)["derp"]["edge"]
    assert (found["certificate"], found["port"]) == ("given", 4443)


def test_a_certificate_may_be_for_an_address() -> None:
    around = with_files(issue(IPv4Address("203.0.113.14")), datetime.datetime.now(datetime.UTC))
    found = model(**relays("out", out=OUT | {"derper_certificate": PAIR}), around=around)["derp"]["out"]
    assert found["certificate"] == "given"


def test_derper_is_of_the_same_version_as_the_tailscaled_that_it_asks() -> None:
    assert find("derper").version == find("tailscale").version


@given(st.sets(st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True), min_size=1, max_size=len(REGIONS)))
def test_each_relay_has_a_region_of_its_own(labels: set[str]) -> None:
    numbers = regions(labels)
    assert len(set(numbers.values())) == len(labels)
    assert set(numbers.values()) <= set(REGIONS)


def test_a_relay_keeps_its_region_when_another_one_comes() -> None:
    assert regions(["out"])["out"] == regions(["edge", "out", "hub"])["out"]


def test_the_proof_tries_the_ports_of_the_relays_and_not_the_coordinators_stun() -> None:
    found = {
        (each["name"], each["address"], each["port"], each["protocol"]) for each in public_ports(model(**relays("out")))
    }
    assert ("out", "203.0.113.14", 443, "tcp") in found
    assert ("out", "203.0.113.14", 3478, "stun") in found
    assert not any(name == "hub" and protocol == "stun" for name, _, _, protocol in found)


def test_without_relays_the_coordinator_answers_stun() -> None:
    stun = [each["name"] for each in public_ports(model()) if each["protocol"] == "stun"]
    assert stun == ["hub"]


def mistaken(**changes: t.Any) -> dict[str, t.Any]:
    return relays("out", out=OUT | changes)


MISTAKES: dict[str, tuple[dict[str, t.Any], str]] = {
    "no address": (relays("out", "nas"), "nas: mesh_public_address: found nothing: .*must reach a relay"),
    "odd hostname": (mistaken(derper_hostname="not a name"), "out: derper_hostname: .*neither an IP address nor a DNS"),
    "name beside Caddy": (
        relays("out", "edge", edge={"derper_hostname": "edge.example.com"}),
        r"edge: derper_hostname: .*ACME on port 443, and this relay has 8443\. Set derper_hostname to its public IP",
    ),
    "the port of Caddy": (relays("out", "edge", edge={"derper_port": 443}), "edge: derper_port: found 443: Caddy has"),
    "the port of SSH": (mistaken(derper_port=22), "out: derper_port: "),
    "the port of the probe": (mistaken(derper_port=7733), "all: mesh_probe_port: .*on out derper has this port"),
    "the port of STUN": (mistaken(tailscaled_port=3478), "out: tailscaled_port: .*derper has this port there"),
    "two relays at one place": (
        relays("out", "edge", edge={"derper_hostname": "203.0.113.14"}, out=OUT | {"derper_port": 8443}),
        "out: derper_hostname: .*edge has the same port there",
    ),
    "no relay for a firewall": (
        relays("edge"),
        r"group relays: derper_port: found \[8443\]: laptop can reach a relay on port 443 only",
    ),
    "no relay at all": ({"hosts": {"hub": {"headscale_derp": False}}}, "hub: headscale_derp: .*nothing relays"),
    "half a certificate": (
        mistaken(derper_certificate={"certificate": "x"}),
        "out: derper_certificate: .*a certificate and its key",
    ),
    "no limit": (mistaken(derper_accept_limit=0), "out: derper_accept_limit: .*1 or more"),
    "no such days": (mistaken(derper_renew_days=3650), "out: derper_renew_days: .*1 to 3649 days"),
    "odd version": (mistaken(derper_version="9"), r'out: derper_version: found "9": .*pins 1\.2\.3'),
    "odd IPv6 address": (mistaken(derper_ipv6="203.0.113.1"), "out: derper_ipv6: .*no IPv6 address"),
    "a misspelled variable": (mistaken(derper_prot=1), "out: derper_prot: .*Rename it to derper_port"),
    "a hidden peer relay": (
        {"hosts": {"nas": {"tailscaled_relay_port": 40000}}},
        "nas: tailscaled_relay_port: .*needs a public address",
    ),
    "two UDP ports in one": (
        {"hosts": {"edge": {"tailscaled_relay_port": 41641}}},
        "edge: tailscaled_relay_port: found 41641: tailscaled_port has this port there",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_relay_that_cannot_be_is_refused_with_its_host_variable_and_fix(name: str) -> None:
    changes, message = MISTAKES[name]
    outcome = build(**changes)
    assert outcome.model is None
    assert any(re.search(message, problem) for problem in outcome.problems), outcome.problems


STRANGERS_IN = ("-verify-clients=false", "-verify-client-url-fail-open=true", "-mesh-psk-file=/tmp/key")
ROLE = Path(__file__).parents[4] / "roles" / "derper"
OPTIONS = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]


@pytest.mark.parametrize("flag", STRANGERS_IN)
@pytest.mark.parametrize("option", OPTIONS)
def test_no_variable_can_bring_a_flag_that_lets_strangers_in(option: str, flag: str) -> None:
    for value in (f"relay.example.com {flag}", f'" {flag} "', f"443\n{flag}"):
        assert build(**mistaken(**{option: value})).model is None


def test_every_flag_that_could_let_strangers_in_is_set() -> None:
    flags = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())["__derper_flags"]
    assert " -verify-clients -socket /run/tailscale/tailscaled.sock -verify-client-url-fail-open=false " in flags
    assert " -mesh-psk-file= " in flags


CERTIFICATES: dict[str, tuple[str, dict[str, bytes], datetime.timedelta, str]] = {
    "another name": (
        "relay.example.com",
        issue("other.example.com"),
        datetime.timedelta(),
        "it is for other.example.com",
    ),
    "another address": (
        "203.0.113.14",
        issue(IPv4Address("203.0.113.15")),
        datetime.timedelta(),
        "it is for 203.0.113.15",
    ),
    "expired": ("relay.example.com", issue("relay.example.com"), datetime.timedelta(days=400), "it expired on"),
    "another key": (
        "relay.example.com",
        issue("relay.example.com") | {"relay.key": issue("relay.example.com")["relay.key"]},
        datetime.timedelta(),
        "it is not the key of relay.pem",
    ),
}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_a_certificate_that_no_node_would_take_is_refused(name: str) -> None:
    hostname, files, later, message = CERTIFICATES[name]
    around = with_files(files, datetime.datetime.now(datetime.UTC) + later)
    outcome = build(**mistaken(derper_hostname=hostname, derper_certificate=PAIR), around=around)
    assert outcome.model is None
    assert any("out: derper_certificate." in problem and message in problem for problem in outcome.problems)
