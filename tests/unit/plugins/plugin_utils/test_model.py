# SPDX-License-Identifier: MIT

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
from ansible_collections.wonder.mesh.plugins.plugin_utils._model import build_model
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Broken
from ansible_collections.wonder.mesh.plugins.plugin_utils._variables import VARIABLES
from tests.unit.plugins.plugin_utils.mesh_world import EVERYWHERE, GROUPS, HELLO, HOSTS, build, model, world

KEYS = ["name", "port", "host", "path", "health", "protocol", "from", "to", "ports", "key", "certificate"]
OTHERS = ["tailscaled_tun", "caddy_certificates", "ansible_host", "headscale_prefix_v4"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["nas", "tag:node", "8000", "hello.example.com", "/", "http", "tcp:22", "203.0.113.9"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(KEYS)
        | st.text(max_size=5),
        inner,
        max_size=6,
    ),
    max_leaves=12,
)  # fmt: skip


def service(**changes: t.Any) -> dict[str, t.Any]:
    return {key: value for key, value in {**HELLO, **changes}.items() if value is not None}


def test_the_demo_gives_this_model() -> None:
    found = model()
    assert (found["coordinator"], found["server_url"]) == ("hub", "https://hub.example.com")
    assert found["nodes"] == ["edge", "laptop", "mini-1", "mini-2", "nas"]
    assert found["admins"] == {"nodes": ["laptop"], "people": ["alice@example.com"]}
    assert found["hosts"]["edge"] == {
        "name": "edge",
        "label": "edge",
        "dns": "edge.mesh.example.com",
        "groups": ["gateways", "nodes"],
        "public_address": "203.0.113.11",
        "home": None,
        "nat": "public",
        "tun": True,
        "proxy_port": 1055,
        "interface": "",
        "tags": ["tag:gateway", "tag:node", "tag:node-edge"],
    }
    assert found["hosts"]["mini-2"]["tun"] is False
    assert found["hosts"]["stranger"]["tags"] == []
    assert found["services"] == [
        {
            "name": "hello",
            "host": "hello.example.com",
            "path": "/",
            "protocol": "http",
            "health": "/",
            "public_port": 443,
            "count": 1,
            "proxy_protocol": False,
            "certificate": "auto",
            "access": {
                "allow": [],
                "basic_auth": [],
                "forward_auth": None,
                "client_certificates": "",
                "max_body": 10 * 2**30,
                "h2c": False,
                "timeout": 300,
            },
            "replicas": [
                {"node": "mini-1", "dns": "mini-1.mesh.example.com", "port": 8000},
                {"node": "mini-2", "dns": "mini-2.mesh.example.com", "port": 8000},
            ],
        }
    ]
    assert json.loads(json.dumps(found)) == found


def test_replicas_stay_in_the_order_of_the_inventory() -> None:
    found = model(groups={"nodes": ["edge", "mini-2", "mini-1", "nas", "laptop"]})
    assert [replica["node"] for replica in found["services"][0]["replicas"]] == ["mini-2", "mini-1"]


def test_one_host_may_be_everything() -> None:
    found = model(
        groups={"coordinator": ["hub"], "gateways": ["hub"], "nodes": ["hub", "mini-1", "mini-2", "nas", "laptop"]},
        around=world({"hub.example.com": ["203.0.113.10"], "hello.example.com": ["203.0.113.10"]}),
    )
    assert found["hosts"]["hub"]["tags"] == ["tag:gateway", "tag:node", "tag:node-hub"]


def test_a_port_may_be_text_and_a_name_may_have_capitals() -> None:
    found = model(hosts={"nas": {"mesh_services": [service(name="x", host="X.example.com", port="8443")]}},
                  everywhere={"mesh_dns_check": "warn"})  # fmt: skip
    assert found["services"][1]["host"] == "x.example.com"
    assert found["services"][1]["replicas"][0]["port"] == 8443


def test_a_path_has_no_slash_at_its_end() -> None:
    changes = {name: {"mesh_services": [service(path=path)]} for name, path in (("mini-1", "/a/"), ("mini-2", "/a"))}
    assert [each["path"] for each in model(hosts=changes)["services"]] == ["/a"]


def test_a_nat_is_unknown_where_nothing_is_said() -> None:
    assert model(hosts={"nas": {"mesh_nat": None}})["hosts"]["nas"]["nat"] == "auto"


def test_a_broken_template_is_reported_once() -> None:
    outcome = build(hosts={"edge": {"mesh_public_address": Broken("'x' is undefined")}})
    assert len([line for line in outcome.problems if line.startswith("edge: mesh_public_address")]) == 1


def test_all_mistakes_come_at_once() -> None:
    outcome = build(hosts={"nas": {"mesh_nat": "x", "mesh_home": []}}, everywhere={"mesh_domain": "x"})
    assert len(outcome.problems) == 3


def test_the_inventory_is_left_as_it_is() -> None:
    hosts = {host: {**EVERYWHERE, **variables} for host, variables in HOSTS.items()}
    before = copy.deepcopy(hosts)
    build_model(Inventory.of(GROUPS, hosts), world())
    assert hosts == before


def test_names_that_lead_elsewhere_come_with_their_records() -> None:
    around = world({"hello.example.com": ["198.51.100.7"]})
    found = build(around=around)
    (problem,), (warning,) = found.problems, found.warnings
    assert 'hub: mesh_public_address: found "hub.example.com": seen from the controller it does not resolve' in problem
    assert '"hub.example.com. A 203.0.113.10"' in problem
    assert "hello.example.com (hello in mesh_services) leads to 198.51.100.7, not to 203.0.113.11" in warning
    assert warning.endswith("The DNS records to make: hello.example.com. A 203.0.113.11")


def test_where_no_dns_is_expected_names_are_one_warning() -> None:
    outcome = build(around=world({}), everywhere={"mesh_dns_check": "warn"})
    assert outcome.problems == []
    assert len(outcome.warnings) == 1
    assert "hello.example.com. A 203.0.113.11" in outcome.warnings[0]


@pytest.mark.parametrize(
    ("seen", "right"),
    [
        (["203.0.113.11"], True),
        (["203.0.113.11", "2001:db8::1"], True),
        (["2001:db8::1"], False),
        (["203.0.113.11", "203.0.113.99"], False),
        ([], False),
    ],
)
def test_a_name_leads_to_its_gateway(seen: list[str], right: bool) -> None:
    outcome = build(around=world({"hub.example.com": ["203.0.113.10"], "hello.example.com": seen}))
    assert (outcome.warnings == []) is right
    assert outcome.problems == []


def test_a_service_may_lead_to_a_gateway_that_has_a_name() -> None:
    hosts = {"edge": {"mesh_public_address": "edge.example.com"}}
    records = {"hub.example.com": ["203.0.113.10"], "edge.example.com": ["192.0.2.1"]}
    right = build(hosts, around=world(records | {"hello.example.com": ["192.0.2.1"]}))
    assert right.problems == []
    wrong = build(hosts, around=world({"hub.example.com": ["203.0.113.10"]}))
    assert any("hello.example.com. CNAME edge.example.com." in line for line in wrong.warnings)


def test_an_inner_address_says_nothing_about_a_public_name() -> None:
    assert build(hosts={"hub": {"ansible_host": "192.168.1.2"}}).problems == []


@settings(max_examples=3 * settings().max_examples, deadline=None)
@given(
    host=st.sampled_from(sorted(HOSTS)),
    variable=st.sampled_from([*VARIABLES, *OTHERS]),
    value=JSON,
    all_hosts=st.booleans(),
)  # fmt: skip
def test_any_value_gives_a_model_or_problems(host: str, variable: str, value: t.Any, all_hosts: bool) -> None:
    changes = {each: {variable: value} for each in (HOSTS if all_hosts else [host])}
    outcome = build(hosts=changes)
    assert (outcome.model is None) == bool(outcome.problems)
    assert all("\n" not in line for line in outcome.problems)
    json.dumps(outcome.model)


@settings(max_examples=2 * settings().max_examples, deadline=None)
@given(entries=st.lists(st.fixed_dictionaries({}, optional={
    "name": JSON | st.just("hello"), "port": JSON | st.just(8000), "host": JSON | st.just("a.example.com"),
    "path": JSON | st.just("/x"), "health": JSON, "protocol": JSON | st.just("http")}), max_size=3))  # fmt: skip
def test_any_service_gives_a_model_or_problems(entries: list[t.Any]) -> None:
    outcome = build(hosts={"nas": {"mesh_services": entries}}, everywhere={"mesh_dns_check": "warn"})
    assert (outcome.model is None) == bool(outcome.problems)
