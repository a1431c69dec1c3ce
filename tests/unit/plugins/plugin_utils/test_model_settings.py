# SPDX-License-Identifier: MIT
"""The variables of the roles in an inventory: their types, their meaning, and where they must agree with the mesh."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
from ansible_collections.wonder.mesh.plugins.plugin_utils._model import build_model
from tests.unit.plugins.plugin_utils.mesh_world import EVERYWHERE, GROUPS, HELLO, HOSTS, build, world


def service(**changes: t.Any) -> dict[str, t.Any]:
    return {**HELLO, **changes}


def on(host: str, **variables: t.Any) -> dict[str, t.Any]:
    return {"hosts": {host: variables}}


def everywhere(**variables: t.Any) -> dict[str, t.Any]:
    return {"everywhere": variables}


MISTAKES: dict[str, tuple[dict[str, t.Any], str]] = {
    "number": (on("nas", tailscaled_port="a"), 'nas: tailscaled_port: found "a": it must be a whole number'),
    "number in other digits": (on("nas", tailscaled_port="٤١"), "nas: tailscaled_port: .*must be a whole number"),
    "number and a line": (on("nas", tailscaled_port="41641\n"), "nas: tailscaled_port: .*must be a whole number"),
    "number of thousands": (on("nas", tailscaled_port=1 << 20000), "nas: tailscaled_port: .*must be a whole number"),
    "text for true": (on("nas", tailscaled_accept_dns="no"), "tailscaled_accept_dns: .*must be true or false"),
    "number for text": (on("edge", caddy_acme_email=5), "edge: caddy_acme_email: .*must be a text"),
    "text of lines": (on("edge", caddy_acme_email="a@b.c\nx: y"), "edge: caddy_acme_email: .*must be a text"),
    "level": (
        on("hub", headscale_log_level="trace"),
        "log_level: .*no choice. Use debug, info, warn or error",
    ),
    "dict for list": (on("nas", tailscaled_advertise_routes={}), "tailscaled_advertise_routes: .*must be a list"),
    "list of numbers": (
        on("nas", tailscaled_advertise_routes=[10]),
        "_routes: .*each of the list must be a text",
    ),
    "near": (on("hub", headscale_log_levle="x"), "hub: headscale_log_levle: .*Rename it to headscale_log_level"),
    "mail": (on("edge", caddy_acme_email="me"), "edge: caddy_acme_email: .*no mail address"),
    "authority": (on("edge", caddy_acme_ca="http://ca.example.com"), "edge: caddy_acme_ca: .*no https address"),
    "relay address": (on("hub", headscale_derp_ipv4="203.0.113.010"), "headscale_derp_ipv4: .*no IPv4 address"),
    "no admin socket": (on("edge", caddy_configuration={}), "edge: caddy_configuration: .*its admin socket"),
    "open policy": (on("hub", headscale_policy={}), "hub: headscale_policy: .*would allow everything. Add grants"),
    "node without name": (on("hub", headscale_nodes=[{}]), "hub: headscale_nodes: .*each needs the name"),
    "node tags": (on("hub", headscale_nodes=[{"name": "a", "tags": ["x"]}]), "headscale_nodes: .*begin with tag:"),
    "removed name": (on("hub", headscale_removed_nodes=["a b"]), 'removed_nodes: .*"a b" is no name'),
    "removed node": (on("hub", headscale_removed_nodes=["nas"]), "headscale_removed_nodes: .*it is the node of nas"),
    "port of nothing": (on("nas", tailscaled_port=0), "nas: tailscaled_port: .*a number from 1 to 65535"),
    "port of root": (on("mini-2", tailscaled_proxy_port=80), "mini-2: tailscaled_proxy_port: .*without root"),
    "route with a host": (on("nas", tailscaled_advertise_routes=["10.0.0.1/8"]), "is no network in the form"),
    "route in capitals": (on("nas", tailscaled_advertise_routes=["FD00::/8"]), "is no network in the form"),
    "exit": (on("nas", tailscaled_advertise_routes=["0.0.0.0/0"]), "an exit node, which comes later"),
    "route twice": (on("nas", tailscaled_advertise_routes=["10.0.0.0/8"] * 2), "it names a network twice"),
    "probe nowhere": (on("nas", probe_addresses=[]), "nas: probe_addresses: .*must name addresses"),
    "probe address": (on("nas", probe_addresses=["1.2.3.4:80"]), "nas: probe_addresses: .*must name addresses"),
    "relay after": (on("nas", verify_relay_after=1000), "nas: verify_relay_after: .*1 to 20 seconds"),
    "other server": (on("hub", headscale_server_url="https://x.y"), "headscale_server_url: .*the mesh has .*Remove it"),
    "other base": (on("hub", headscale_base_domain="x.y"), "headscale_base_domain: .*from mesh_domain. Remove it"),
    "other name": (on("nas", tailscaled_hostname="x"), 'tailscaled_hostname: .*the mesh has "nas", from the host'),
    "other tags": (on("nas", tailscaled_tags=["tag:x"]), "nas: tailscaled_tags: .*from the host's groups"),
    "other probe port": (on("nas", probe_port=1), "nas: probe_port: .*the mesh has 7733, from mesh_probe_port"),
    "stopped": (on("edge", caddy_state="stopped"), "edge: caddy_state: .*its groups need caddy there"),
    "few addresses": (on("hub", headscale_prefix_v4="100.64.0.0/30"), "not enough addresses for 5 nodes"),
    "prefix by mask": (on("hub", headscale_prefix_v4="100.64.0.0/255.192.0.0"), "headscale_prefix_v4: .*no network"),
    "probe port of Caddy": (everywhere(mesh_probe_port=443), "all: mesh_probe_port: .*on edge Caddy has this port"),
    "probe port of the proxy": (
        everywhere(mesh_probe_port=1055),
        "probe_port: .*on mini-2 the proxy into the mesh",
    ),
    "service of Caddy": (
        on("edge", mesh_services=[service(name="x", host="x.example.com", port=443)]),
        r"edge: mesh_services\.x\.port: .*Caddy has this port there",
    ),
    "service of the proxy": (
        on("mini-2", mesh_services=[service(port=1055)]),
        r"mini-2: mesh_services\.hello\.port: .*the proxy into the mesh",
    ),
    "port of HTTP/3": (on("edge", tailscaled_port=443), "edge: tailscaled_port: .*Caddy has this port there"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_that_says_where_and_what_to_do(name: str) -> None:
    changes, pattern = MISTAKES[name]
    outcome = build(**changes)
    assert outcome.model is None
    text = "\n".join(outcome.problems)
    assert re.search(pattern, text), text
    assert all(line == " ".join(line.split()) and line.endswith(".") for line in outcome.problems)


def test_a_variable_that_is_set_to_nothing_is_no_default() -> None:
    inventory = Inventory.of(GROUPS, {**HOSTS, "nas": {**HOSTS["nas"], "tailscaled_port": None}})
    assert "nas: tailscaled_port: found nothing: it is set to nothing. Remove it to have its default." in (
        build_model(inventory, world()).problems
    )


def test_what_the_mesh_says_anyway_may_be_said_twice() -> None:
    outcome = build(hosts={"nas": {"tailscaled_tags": ["tag:node-nas", "tag:node"], "probe_port": "7733"}})
    assert outcome.problems == []


def test_a_removal_may_name_what_is_stopped() -> None:
    hosts = {host: {**EVERYWHERE, **variables} for host, variables in HOSTS.items()}
    hosts["edge"]["caddy_state"] = "absent"
    assert build_model(Inventory.of(GROUPS, hosts), None).problems == []
