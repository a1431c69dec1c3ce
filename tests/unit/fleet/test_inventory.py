# SPDX-License-Identifier: MIT
"""The inventory of the fleet, and how SSH reaches its hosts."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml

from fleet import inventory, nat, topology
from fleet.state import State

STATE = State("wm123abc", Path("/state"))
DEMO = topology.load("demo", nat.KINDS)
WIREGUARD = topology.load("demo-wireguard", nat.KINDS)
ONE_VPS = topology.load("one-vps", nat.KINDS)


def written(world: topology.Topology) -> dict[str, dict]:
    """The inventory as Ansible reads it."""
    return yaml.safe_load(inventory.dump(inventory.inventory(world, STATE)))["all"]


def test_groups_are_those_of_the_topology() -> None:
    groups = {name: list(group["hosts"]) for name, group in written(DEMO)["children"].items()}
    assert groups == {
        "coordinator": ["hub"],
        "gateways": ["edge"],
        "relays": [],
        "nodes": ["edge", "mini-1", "mini-2", "nas", "laptop"],
        "strangers": ["stranger"],
    }


@pytest.mark.parametrize(
    ("host", "variables"),
    [
        ("laptop", {"mesh_home": "office", "mesh_nat": "udp-blocked"}),
        ("mini-2", {"mesh_home": "attic", "mesh_nat": "easy", "tailscaled_tun": False}),
        (
            "nas",
            {
                "mesh_services": [
                    {"name": "hello", "host": "hello.wm.test", "port": 8000},
                    {"name": "db", "protocol": "tcp", "port": 5432},
                    {"name": "game", "protocol": "udp", "port": 9999, "health": "ping"},
                ]
            },
        ),
        ("hub", {"mesh_public_address": "hub.wm.test"}),
        (
            "edge",
            {
                "caddy_certificates": [
                    {
                        "certificate": "/state/wm123abc/certificates/edge.pem",
                        "key": "/state/wm123abc/certificates/edge.key",
                    }
                ]
            },
        ),
    ],
)
def test_a_host_says_what_it_is_to_the_mesh(host: str, variables: dict[str, object]) -> None:
    assert written(DEMO)["hosts"][host].items() >= variables.items()


@pytest.mark.parametrize(
    ("host", "variable"),
    [
        ("stranger", "mesh_public_address"),
        ("nas", "mesh_public_address"),
        ("edge", "mesh_nat"),
        ("nas", "caddy_certificates"),
    ],
)
def test_a_host_does_not_say_what_it_is_not(host: str, variable: str) -> None:
    assert variable not in written(DEMO)["hosts"][host]


def test_the_fleet_is_strict_about_paths_and_expects_no_dns() -> None:
    variables = written(DEMO)["vars"]
    assert (variables["mesh_verify_paths"], variables["mesh_dns_check"]) == ("strict", "warn")
    assert (variables["mesh_domain"], variables["mesh_admins"]) == ("mesh.wm.test", ["laptop"])


def test_the_topology_decides_who_logs_in() -> None:
    assert [written(world)["vars"]["ansible_user"] for world in (DEMO, ONE_VPS)] == ["root", "ops"]


def test_no_value_is_a_template() -> None:
    assert "{{" not in inventory.dump(inventory.inventory(DEMO, STATE))


def test_a_certificate_holds_the_names_that_its_caddy_answers_to() -> None:
    names = {host.name: inventory.certificate_names(DEMO, host) for host in DEMO.hosts}
    assert names["hub"] == ["hub.wm.test"]
    assert names["edge"] == ["edge.wm.test", "hello.wm.test", "tunless.wm.test"]
    assert names["nas"] == []


def test_ssh_checks_host_keys_and_enters_the_namespace() -> None:
    lines = inventory.ssh_config(DEMO, STATE).splitlines()
    assert lines[0] == "Host hub edge stranger mini-1 mini-2 nas laptop"
    assert "  StrictHostKeyChecking yes" in lines
    command = next(line.split(None, 1)[1] for line in lines if "ProxyCommand" in line)
    assert shlex.split(command)[1:] == ["wm123abc-%h", "127.0.0.1", "22"]


def test_a_checkout_with_odd_characters_still_names_its_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "NSCAT", Path("/a b/100%/nscat"))
    line = inventory.ssh_config(DEMO, STATE).splitlines()[1]
    assert shlex.split(line)[1] == "/a b/100%%/nscat"


def test_hosts_of_a_home_know_each_other_s_address_there_on_wireguard() -> None:
    """Ansible reaches them by name, so that nothing else says it."""
    hosts = written(WIREGUARD)["hosts"]
    found = {name: each["wireguard_lan_address"] for name, each in hosts.items() if "wireguard_lan_address" in each}
    assert found == {
        "mini-1": "192.168.1.10", "mini-2": "192.168.1.11", "nas": "192.168.1.10", "laptop": "192.168.1.10",
        "van": "192.168.1.10",
    }  # fmt: skip
    assert not any("wireguard_lan_address" in each for each in written(DEMO)["hosts"].values())


def test_wireguard_s_demo_serves_what_the_other_one_serves() -> None:
    services = [{service["name"] for host in world.hosts for service in host.services} for world in (DEMO, WIREGUARD)]
    assert services[0] == services[1] != set()
