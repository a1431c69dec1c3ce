# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
import re
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
from ansible_collections.wonder.mesh.plugins.plugin_utils._model import build_model
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Broken
from tests.unit.plugins.plugin_utils.mesh_world import GROUPS, HELLO, build, world


def service(**changes: t.Any) -> dict[str, t.Any]:
    return {key: value for key, value in {**HELLO, **changes}.items() if value is not None}


def on(host: str, **variables: t.Any) -> dict[str, t.Any]:
    return {"hosts": {host: variables}}


def everywhere(**variables: t.Any) -> dict[str, t.Any]:
    return {"everywhere": variables}


def groups(**changes: t.Any) -> dict[str, t.Any]:
    return {"groups": changes}


MISTAKES: dict[str, tuple[dict[str, t.Any], str]] = {
    "no coordinator": (groups(coordinator=[]), r"group coordinator: hosts: .*exactly one coordinator"),
    "two coordinators": (groups(coordinator=["hub", "nas"]), r'group coordinator: hosts: found \["hub", "nas"\]'),
    "no nodes": (groups(nodes=[], gateways=[]), "group nodes: hosts: .*a mesh without nodes"),
    "no domain": (everywhere(mesh_domain=None), "all: mesh_domain: found nothing: it must be a DNS name"),
    "odd domain": (everywhere(mesh_domain="my mesh"), "all: mesh_domain: .*must be a DNS name"),
    "short domain": (everywhere(mesh_domain="mesh"), "all: mesh_domain: .*must be a DNS name"),
    "domain equal": (everywhere(mesh_domain="hub.example.com"), "hub: mesh_domain: .*equal to the coordinator's name"),
    "domain above": (everywhere(mesh_domain="example.com"), r"hub: mesh_domain: .*a parent of .* mesh\.example\.com"),
    "two domains": (on("nas", mesh_domain="b.example.com"), r"mesh_domain: found .*but the mesh has one\. Set it once"),
    "no server name": (on("hub", mesh_public_address=None), "hub: mesh_public_address: .*needs a DNS name"),
    "server literal": (on("hub", mesh_public_address="203.0.113.10"), "hub: mesh_public_address: .*needs a DNS name"),
    "hidden gateway": (on("edge", mesh_public_address=None), "edge: mesh_public_address: .*needs an address"),
    "odd address": (on("nas", mesh_public_address="no name"), "nas: mesh_public_address: .*neither an IP address"),
    "same place": (
        on("nas", mesh_services=[service(name="other")]),
        "nas: mesh_services.other: .*mini-1 has another service there, hello",
    ),
    "same name": (
        on("nas", mesh_services=[service(path="/b")]),
        "nas: mesh_services.hello: .*mini-1 has a service of this name at hello.example.com/",
    ),
    "other health": (
        on("mini-2", mesh_services=[service(health="/up")]),
        "mini-2: .*health: .*replica on mini-1 has /",
    ),
    "twice": (on("mini-2", mesh_services=[service(), service(port=9)]), "this node has this service twice"),
    "other version": (
        on("hub", headscale_version="0.1.0"),
        r'hub: headscale_version: found "0.1.0": .*pins 1\.2\.3\. Set it',
    ),
    "program source": (on("edge", caddy_program_source="caddy"), "edge: caddy_program_source: .*must be a mapping"),
    "one binary of two": (
        on("nas", tailscaled_program_source={"amd64": {"tailscale": {"file": "x", "sha256": 64 * "0"}}}),
        r"nas: tailscaled_program_source\.amd64: .*it must name tailscale and tailscaled",
    ),
    "program by http": (
        on("hub", headscale_program_source={"amd64": {"headscale": {"url": "http://x.y/z", "sha256": 64 * "0"}}}),
        r'hub: headscale_program_source\.amd64\.headscale\.url: found "http://x\.y/z": .*over https only',
    ),
    "no such program": (
        on("hub", headscale_program_source={"arm64": {"headscale": {"file": "mine", "sha256": 64 * "0"}}}),
        r'hub: headscale_program_source\.arm64\.headscale\.file: found "mine": the file cannot be read: No such',
    ),
    "odd version": (on("edge", caddy_version=["x"]), "edge: caddy_version: "),
    "no list": (on("nas", mesh_services="hello"), "nas: mesh_services: .*must be a list"),
    "no mapping": (on("nas", mesh_services=["hello"]), r"nas: mesh_services\[0\]: .*a service is a mapping"),
    "unknown key": (on("nas", mesh_services=[service(prot="x")]), r"mesh_services\[0\].prot: .*no such key"),
    "no name": (
        on("nas", mesh_services=[service(name=None)]),
        r"mesh_services\[0\].name: found nothing: a service needs",
    ),
    "no port": (
        on("nas", mesh_services=[service(port=None)]),
        r"mesh_services\[0\].port: found nothing: a service needs",
    ),
    "no host": (
        on("nas", mesh_services=[service(host=None)]),
        r"mesh_services\[0\].host: found nothing: a service needs",
    ),
    "port range": (on("nas", mesh_services=[service(port=70000)]), r"\.port: found 70000: a port is a number"),
    "port zero": (on("nas", mesh_services=[service(port=0)]), r"\.port: found 0: a port is a number"),
    "port true": (on("nas", mesh_services=[service(port=True)]), r"\.port: found true: a port is a number"),
    "port ssh": (on("nas", mesh_services=[service(port=22)]), r"\.port: found 22: SSH has this port"),
    "gopher": (on("nas", mesh_services=[service(protocol="gopher")]), "there is no such protocol"),
    "path": (on("nas", mesh_services=[service(path="blog")]), r"\.path: .*starts with /"),
    "path up": (on("nas", mesh_services=[service(path="/a/../b")]), r"\.path: .*starts with / and is plain"),
    "path placeholder": (on("nas", mesh_services=[service(path="/{env.X}")]), r"\.path: .*is plain"),
    "health": (on("nas", mesh_services=[service(health="up")]), r"\.health: .*starts with /"),
    "service host": (on("nas", mesh_services=[service(host="hello")]), r"\.host: .*must be a DNS name"),
    "host of hub": (on("nas", mesh_services=[service(host="hub.example.com")]), "the coordinator's own name"),
    "host in mesh": (on("nas", mesh_services=[service(host="a.mesh.example.com")]), "it is inside mesh_domain"),
    "no gateway": (groups(gateways=[]), "group gateways: mesh_services: .*no gateway takes traffic"),
    "service on no node": (on("stranger", mesh_services=[service()]), "stranger: mesh_services: .*it is no node"),
    "same label": (
        {"hosts": {"na_s": {}, "na.s": {}}, "groups": {"nodes": [*GROUPS["nodes"], "na_s", "na.s"]}},
        "na.s: inventory name: .*na_s gives the same DNS label, na-s",
    ),
    "no label": (
        {"hosts": {"-x": {}}, "groups": {"nodes": [*GROUPS["nodes"], "-x"]}},
        "-x: inventory name: .*gives no DNS label",
    ),
    "taken name": (
        {"hosts": {"controller": {}}, "groups": {"nodes": [*GROUPS["nodes"], "controller"], "strangers": []}},
        "controller: inventory name: .*Rename the host",
    ),
    "stranger inside": (groups(strangers=["nas"]), "nas: groups: .*not ours"),
    "gateway no node": (groups(nodes=["mini-1", "mini-2"]), "edge: groups: .*not in nodes"),
    "relay no node": (groups(relays=["hub"]), "hub: groups: .*not in nodes"),
    "nat": (on("nas", mesh_nat="esay"), 'nas: mesh_nat: found "esay": .*Use public, easy, hard, full-cone, cgnat'),
    "home": (on("nas", mesh_home=["attic"]), "nas: mesh_home: .*must be a name"),
    "wireguard": (
        everywhere(mesh_backend="wireguard"),
        r'group coordinator: hosts: found \["hub"\]: a mesh on plain WireGuard has no control plane',
    ),
    "zerotier": (everywhere(mesh_backend="zerotier"), "all: mesh_backend: .*zerotier comes later"),
    "backend": (everywhere(mesh_backend=["x"]), "all: mesh_backend: .*no backend"),
    "probe port": (everywhere(mesh_probe_port="high"), "all: mesh_probe_port: .*a number from 1 to 65535"),
    "probe port ssh": (everywhere(mesh_probe_port=22), "all: mesh_probe_port: .*SSH has this port"),
    "probe port taken": (everywhere(mesh_probe_port="8000"), "mini-1: mesh_probe_port: .*service hello has this port"),
    "admin": (everywhere(mesh_admins=["lapto"]), 'all: mesh_admins: found "lapto": .*neither a node nor a person'),
    "admins": (everywhere(mesh_admins="laptop"), "all: mesh_admins: .*must be a list"),
    "grants": (everywhere(mesh_grants={}), "all: mesh_grants: .*must be a list"),
    "grant": (everywhere(mesh_grants=["all"]), r"all: mesh_grants\[0\]: .*a grant is a mapping"),
    "grant key": (
        everywhere(mesh_grants=[{"from": ["nas"], "to": ["edge"], "port": ["tcp:1"]}]),
        r"mesh_grants\[0\].port: .*no such key",
    ),
    "grant to": (
        everywhere(mesh_grants=[{"from": ["nas"], "to": ["tag:relay"], "ports": ["tcp:1"]}]),
        r"mesh_grants\[0\].to: found \"tag:relay\": it is not a node, a tag in use, a group",
    ),
    "grant to nobody": (
        everywhere(mesh_grants=[{"from": ["nas"], "to": ["mini-9"], "ports": ["tcp:1"]}]),
        r"all: mesh_grants\[0\].to: found \"mini-9\": it is not a node.* Name one of edge, mini-1, .*tag:node",
    ),
    "grant to unknown group": (
        everywhere(
            mesh_groups={"family": ["bob@"]}, mesh_grants=[{"from": ["group:famly"], "to": ["nas"], "ports": ["tcp:1"]}]
        ),
        r"mesh_grants\[0\].from: found \"group:famly\": .*a group of mesh_groups or a person\. .*group:family",
    ),
    "grant to a person": (
        everywhere(mesh_grants=[{"from": ["nas"], "to": ["bob@"], "ports": ["tcp:1"]}]),
        r"mesh_grants\[0\].to: found \"bob@\": it is not a node, a tag in use, a group of mesh_groups\. ",
    ),
    "admins of an unknown group": (everywhere(mesh_admins=["group:ops"]), "mesh_admins: .*nor a group of mesh_groups"),
    "groups": (everywhere(mesh_groups=["bob@"]), "all: mesh_groups: .*must be a mapping of names to lists"),
    "group name": (everywhere(mesh_groups={"The Family": ["bob@"]}), "all: mesh_groups.The Family: .*Rename it"),
    "group of nobody": (everywhere(mesh_groups={"family": []}), "mesh_groups.family: .*somebody in it"),
    "group of a node": (
        everywhere(mesh_groups={"family": ["nas"]}),
        r"mesh_groups.family: found \"nas\": it is no person",
    ),
    "group of a list": (everywhere(mesh_groups={"family": [["bob@"]]}), "mesh_groups.family: .*it is no person"),
    "grant port": (
        everywhere(mesh_grants=[{"from": ["nas"], "to": ["edge"], "ports": [22]}]),
        r"mesh_grants\[0\].ports: found 22: it is no protocol with a port",
    ),
    "grant range": (
        everywhere(mesh_grants=[{"from": ["nas"], "to": ["edge"], "ports": ["tcp:9-1"]}]),
        r"mesh_grants\[0\].ports: .*no protocol with a port",
    ),
    "tun": (on("nas", tailscaled_tun="maybe"), "nas: tailscaled_tun: .*neither true nor false"),
    "ssh without tun": (on("mini-2", tailscaled_ssh=True), "mini-2: tailscaled_ssh: .*without root"),
    "ssh for nobody": (
        {"hosts": {"nas": {"tailscaled_ssh": True}}, "everywhere": {"mesh_admins": []}},
        "nas: tailscaled_ssh: .*it lets in who is in mesh_admins, and nobody is",
    ),
    "ssh by a name of the mesh": (
        on("nas", tailscaled_ssh=True, ansible_host="nas.mesh.example.com"),
        r"nas: tailscaled_ssh: .*reaches the host through the mesh \(nas\.mesh\.example\.com\), where it cuts sshd",
    ),
    "ssh by an address of the mesh": (on("nas", tailscaled_ssh=True, ansible_host="100.64.0.7"), "through the mesh"),
    "ssh as a word": (on("nas", tailscaled_ssh="yes"), "nas: tailscaled_ssh: .*true or false"),
    "prefix v4": (on("hub", headscale_prefix_v4="10.0.0.0/8"), "hub: headscale_prefix_v4: .*100.64.0.0/10 only"),
    "prefix v6": (on("hub", headscale_prefix_v6="fd00::/48"), "hub: headscale_prefix_v6: .*fd7a:115c:a1e0::/48 only"),
    "prefix mixed": (on("hub", headscale_prefix_v4="fd7a:115c:a1e0::/64"), "hub: headscale_prefix_v4: .* only"),
    "prefix odd": (on("hub", headscale_prefix_v4=100), "hub: headscale_prefix_v4: .*no network"),
    "unknown": (on("nas", mesh_homes="x"), "nas: mesh_homes: .*no such variable. Rename it to mesh_home"),
    "unlike": (on("nas", mesh_zzzzzzzz="x"), "nas: mesh_zzzzzzzz: .*no such variable. Remove it"),
    "dns check": (everywhere(mesh_dns_check="off"), "all: mesh_dns_check: .*Use strict or warn"),
    "verify paths": (everywhere(mesh_verify_paths=True), "all: mesh_verify_paths: .*Use warn or strict"),
    "certificates": (on("edge", caddy_certificates="a.pem"), "edge: caddy_certificates: .*must be a list"),
    "certificate": (on("edge", caddy_certificates=[{"key": "k"}]), r"edge: caddy_certificates\[0\]: .*its key"),
    "home line": (on("nas", mesh_home="a\nb"), r"nas: mesh_home: .*must be a name"),
    "home blank": (on("nas", mesh_home=" "), r"nas: mesh_home: .*must be a name"),
    "remove data": (everywhere(mesh_remove_data="maybe"), "hub: mesh_remove_data: .*neither true nor false"),
    "result file": (everywhere(mesh_result_file=["x"]), "all: mesh_result_file: .*no full path"),
    "result beside the playbook": (everywhere(mesh_result_file="x.json"), "all: mesh_result_file: .*no full path"),
    "result nowhere": (everywhere(mesh_result_file="/nowhere/x"), "all: mesh_result_file: .*there is no directory"),
    "own result nowhere": (on("nas", verify_result_file="/nowhere/x"), "nas: verify_result_file: .*no directory"),
    "other letters": (everywhere(mesh_domain="me\u212a.example.com"), "mesh_domain: .*must be a DNS name"),
    "late difference": (
        {"everywhere": {"mesh_admins": [f"{'a' * 60}@"]}, "hosts": {"nas": {"mesh_admins": [f"{'a' * 60}@", "b@b"]}}},
        "mesh_admins: .*but the mesh has one",
    ),
    "health percent": (on("nas", mesh_services=[service(health="/%zz")]), r"\.health: .*is plain"),
    "health elsewhere": (on("nas", mesh_services=[service(health="//x.example.com/")]), r"\.health: .*is plain"),
    "long path": (on("nas", mesh_services=[service(path=f"/{'a' * 300}")]), r"\.path: .*it is longer than 255"),
    "path in capitals": (
        on("nas", mesh_services=[service(name="a", path="/a"), service(name="b", path="/A")]),
        "nas: mesh_services.b: .*nas has another service there, a",
    ),
    "long person": (everywhere(mesh_admins=[f"{'a' * 999}@"]), "mesh_admins: .*neither a node nor a person"),
    "localhost": (
        {"hosts": {"localhost": {}}, "groups": {"nodes": [*GROUPS["nodes"], "localhost"]}},
        "localhost: inventory name: .*the machine that it runs on",
    ),
    "name of two words": (
        {"hosts": {"hub b": {"mesh_public_address": "hub.example.com"}}, "groups": {"coordinator": ["hub b"]}},
        "hub b: inventory name: .*must be one word",
    ),
    "two names of one": (
        {"hosts": {"nas": {"ansible_host": "203.0.113.9"}, "laptop": {"ansible_host": "203.0.113.9"}}},
        "laptop: ansible_host: .*nas is reached by the same",
    ),
    "address an option": (on("nas", ansible_host="-oProxyCommand=x"), "nas: ansible_host: .*neither an address nor"),
    "ssh port": (on("nas", ansible_host="nas", ansible_port="ssh"), "nas: ansible_port: .*a number from 1 to 65535"),
    "template": (on("nas", mesh_nat=Broken("'x' is undefined")), "nas: mesh_nat: .*cannot be had: 'x' is undefined"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_that_says_where_and_what_to_do(name: str) -> None:
    changes, pattern = MISTAKES[name]
    outcome = build(**changes)
    assert outcome.model is None
    text = "\n".join(outcome.problems)
    assert re.search(pattern, text), text
    assert all(line == " ".join(line.split()) and line.endswith(".") for line in outcome.problems)


def test_an_inventory_without_hosts_is_one_mistake() -> None:
    (line,) = build_model(Inventory.of({}, {}), world()).problems
    assert line.startswith("the inventory: hosts: found []: a mesh has hosts. Name yours by -i, or put it into")


def test_a_file_with_another_hash_is_named_with_its_own() -> None:
    source = {"amd64": {"headscale": {"file": "mine", "sha256": 64 * "0"}}}
    outcome = build(hosts={"hub": {"headscale_program_source": source}}, around=world(read=lambda _: b"x"))
    assert re.fullmatch(
        r"hub: headscale_program_source\.amd64\.headscale\.sha256: found .*: mine has the sha256 2d711642b726b044.*",
        "\n".join(outcome.problems),
    )


def test_a_mistake_of_many_hosts_is_one_line() -> None:
    outcome = build(everywhere={"caddy_program_source": {"amd64": {}}})
    (line,) = outcome.problems
    assert line.startswith("hub, edge, mini-1 and 4 more: caddy_program_source.amd64: found {}: it must name caddy")


def test_a_file_with_its_hash_is_taken() -> None:
    source = {"amd64": {"headscale": {"file": "mine", "sha256": hashlib.sha256(b"x").hexdigest().upper()}}}
    outcome = build(hosts={"hub": {"headscale_program_source": source}}, around=world(read=lambda _: b"x"))
    assert outcome.problems == []


@pytest.mark.parametrize("value", ["\x1b[2J", "a\nb", "\u202e", "\ud800"])
def test_no_mistake_steers_a_terminal(value: str) -> None:
    outcome = build(hosts={value: {}, "nas": {f"mesh_{value}": 1, "mesh_nat": Broken(value)}},
                    groups={"nodes": [*GROUPS["nodes"], value]})  # fmt: skip
    assert len(outcome.problems) >= 3
    assert all(line.isprintable() for line in outcome.problems)


def test_boxes_of_two_homes_may_have_one_address() -> None:
    address = {"ansible_host": "192.168.1.10"}
    outcome = build(hosts={"nas": address, "laptop": address})
    assert outcome.problems == []


def test_one_address_may_lead_to_two_hosts_by_ports() -> None:
    host = {"ansible_host": "203.0.113.9"}
    outcome = build(hosts={"nas": {**host, "ansible_port": 2222}, "laptop": {**host, "ansible_port": "2223"}})
    assert outcome.problems == []
