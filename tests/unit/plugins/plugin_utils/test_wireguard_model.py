# SPDX-License-Identifier: MIT

"""What the model, the rules, the gateway and the proof become when plain WireGuard carries the mesh."""

from __future__ import annotations

import copy
import itertools
import random
import re
import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.filter.caddy_config import caddy_config
from ansible_collections.wonder.mesh.plugins.filter.mesh_paths import mesh_paths
from ansible_collections.wonder.mesh.plugins.filter.probe_plan import probe_plan
from ansible_collections.wonder.mesh.plugins.filter.wireguard_names import wireguard_names
from ansible_collections.wonder.mesh.plugins.filter.wireguard_peers import wireguard_peers
from ansible_collections.wonder.mesh.plugins.filter.wireguard_rules import wireguard_rules
from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
from ansible_collections.wonder.mesh.plugins.plugin_utils._model import build_model
from ansible_collections.wonder.mesh.plugins.plugin_utils._permissions import permission
from ansible_collections.wonder.mesh.plugins.plugin_utils._table import render
from ansible_collections.wonder.mesh.plugins.plugin_utils._verdict import judge
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_registry import Registry
from tests.unit.plugins.plugin_utils.mesh_world import model as on_headscale
from tests.unit.plugins.plugin_utils.wireguard_world import HOSTS, HUBS, changed, key, model, registry

HELLO = {"name": "hello", "port": 8000, "host": "hello.example.com"}
SERVING: dict[str, dict[str, t.Any]] = {
    "mini-1": {"mesh_services": [HELLO]},
    "nas": {"mesh_services": [HELLO, {**HELLO, "name": "two", "host": "two.example.com", "port": 8001}]},
}
GRANTS = {
    "mesh_admins": ["laptop", "alice@"],
    "mesh_grants": [
        {"from": ["van", "alice@"], "to": ["nas"], "ports": ["tcp:445", "udp:53"]},
        {"from": ["tag:node"], "to": ["barn"], "ports": ["tcp:9000-9010"]},
    ],
}
WIREGUARD = {"mesh_backend": "wireguard", "mesh_domain": "mesh.example.com"}


def mistakes(
    changes: dict[str, dict[str, t.Any]] | None = None, groups: dict[str, list[str]] | None = None, **everywhere: t.Any
) -> str:
    hosts = changed(changes, {**WIREGUARD, **everywhere})
    inventory = Inventory.of({"nodes": list(HOSTS), "gateways": HUBS, **(groups or {})}, hosts)
    return "\n".join(build_model(inventory, None).problems)


def test_without_a_coordinator_there_is_no_control_plane_to_measure() -> None:
    found = model(SERVING)
    assert (found["coordinator"], found["server_url"]) == ("", "")
    plan = probe_plan(found, "controller")
    assert {each["url"] for each in plan["urls"]} == {"https://hello.example.com/", "https://two.example.com/"}
    assert [(each["name"], each["port"]) for each in plan["ports"]] == [("hub-1", 443), ("hub-2", 443)]


def test_the_model_holds_the_mesh_and_headscale_s_holds_none() -> None:
    assert list(model()["wireguard"]["nodes"]) == sorted(HOSTS)
    assert on_headscale()["wireguard"] == {}


@pytest.mark.parametrize("group", ["coordinator", "relays"])
def test_groups_of_the_other_backend_are_refused(group: str) -> None:
    assert f"group {group}: hosts: found" in mistakes(groups={group: ["hub-1"]})


def test_variables_of_the_other_backend_count_for_nothing() -> None:
    found = model({"hub-1": {"tailscaled_tun": False, "tailscaled_port": 443}})
    assert found["hosts"]["hub-1"]["tun"] is True


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"wireguard_port": 443}, "hub-1: wireguard_port: found 443: Caddy has this port there"),
        ({"wireguard_extra_ports": [443]}, "hub-1: wireguard_extra_ports: found 443: Caddy has this port there"),
        ({"wireguard_interface": "far too long a name"}, "hub-1: wireguard_interface: .*it is no name"),
        ({"wireguard_interfaces": "wm1"}, "hub-1: wireguard_interfaces: .*there is no such variable"),
        ({"wireguard_secret_file": "secret"}, "hub-1: wireguard_secret_file: .*it is no full path"),
    ],
)
def test_settings_of_wireguard_are_judged(variables: dict[str, t.Any], found: str) -> None:
    assert re.search(found, mistakes({"hub-1": variables}))


def test_predicted_paths_are_direct_or_by_a_hub() -> None:
    paths = {(each["from"], each["to"]): each["predicted"] for each in mesh_paths(model())}
    assert list(paths) == list(itertools.permutations(sorted(HOSTS), 2))
    assert paths["mini-1", "mini-2"] == paths["nas", "hub-1"] == paths["laptop", "hub-2"] == "direct"
    assert paths["nas", "laptop"] == paths["mini-1", "van"] == "hub"


def test_a_node_is_told_addresses_and_its_interface_and_no_prediction() -> None:
    found = model(SERVING)
    plan = probe_plan(found, "nas")
    assert plan["interface"] == "wm0"
    address = found["wireguard"]["nodes"]["barn"]["addresses"][0]
    assert plan["peers"][0] == {"name": "barn", "dns": "barn.mesh.example.com", "address": address}
    assert "hub'" not in str(plan).replace("'hub-", "")


def test_the_gateway_dials_addresses() -> None:
    found = model(SERVING)
    routes = caddy_config(found, "hub-1")["apps"]["http"]["servers"]["https"]["routes"]
    proxy = next(each["handle"][-1] for each in routes if each.get("match") == [{"host": ["two.example.com"]}])
    nas = found["wireguard"]["nodes"]["nas"]["addresses"][0]
    assert proxy["upstreams"] == [{"dial": f"{nas}:8001"}]
    assert "resolver" not in proxy["transport"]


def test_a_gateway_dials_ipv6_where_there_is_nothing_else() -> None:
    found = model(SERVING, {"wireguard_prefix_v4": ""})
    routes = caddy_config(found, "hub-1")["apps"]["http"]["servers"]["https"]["routes"]
    dials = [each["dial"] for route in routes for handle in route["handle"] for each in handle.get("upstreams", ())]
    assert all(each.startswith("[fd77:") for each in dials)
    assert dials


def allows(found: t.Any, source: str, target: str, port: int) -> bool:
    """Whether the target's rules let a TCP connection of the source in."""
    own = {f"{each}/{128 if ':' in each else 32}" for each in found["wireguard"]["nodes"][source]["addresses"]}
    for rule in wireguard_rules(found, target)["input"]:
        everybody = rule["from"] == found["wireguard"]["pools"]
        if everybody or own <= set(rule["from"]):
            for each in rule["ports"]:
                protocol, _, span = each.partition(":")
                first, _, last = span.partition("-")
                if protocol == "tcp" and (span == "*" or int(first) <= port <= int(last or first)):
                    return True
    return False


def test_rules_allow_exactly_what_the_inventory_permits() -> None:
    """The permissions that the proof judges by are written apart from the rules."""
    found = model(SERVING, GRANTS)
    allowed = set()
    for source, target in itertools.permutations(sorted(HOSTS), 2):
        for port in (22, 445, 8000, 8001, 9000, 9010, 9011, 53):
            assert allows(found, source, target, port) == bool(permission(found, source, target, port))
            if allows(found, source, target, port):
                allowed.add((source, target, port))
        assert allows(found, source, target, found["probe_port"])
    assert {("hub-1", "nas", 8001), ("laptop", "nas", 22), ("van", "nas", 445), ("nas", "barn", 9010)} <= allowed
    assert ("hub-1", "mini-1", 8001) not in allowed


def test_a_grant_to_a_group_of_people_lets_in_their_machines_alone() -> None:
    everywhere = {
        "mesh_groups": {"family": ["alice@", "bob@"]},
        "mesh_grants": [{"from": ["group:family"], "to": ["nas"], "ports": ["tcp:445"]}],
        "wireguard_clients": [{"name": "phone", "owner": "bob@"}],
    }
    found = model({}, everywhere)
    own = {f"{each}/{128 if ':' in each else 32}" for each in found["wireguard"]["nodes"]["phone"]["addresses"]}
    extra = [rule for rule in wireguard_rules(found, "nas")["input"] if "tcp:445" in rule["ports"]]
    assert [set(rule["from"]) for rule in extra] == [own]


def test_a_grant_into_the_machines_of_people_is_refused_on_wireguard() -> None:
    grants = [{"from": ["nas"], "to": ["group:family"], "ports": ["tcp:445"]}]
    said = mistakes(mesh_groups={"family": ["bob@"]}, mesh_grants=grants)
    assert 'mesh_grants[0].to: found "group:family": on plain WireGuard, the machines of people let nobody in' in said


def test_random_grants_become_what_they_permit() -> None:
    rng = random.Random(5)  # noqa: S311 (it has to be the same in each run)
    for _ in range(60):
        names = ["tag:node", "tag:gateway", *HOSTS]
        grants = [
            {
                "from": rng.sample(names, rng.randint(1, 3)),
                "to": rng.sample(names, rng.randint(1, 2)),
                "ports": rng.sample(["tcp:445", "tcp:8000-8010", "tcp:*", "udp:53", "tcp:22"], rng.randint(1, 2)),
            }
            for _ in range(rng.randint(0, 3))
        ]
        found = model(SERVING, {"mesh_grants": grants})
        for source, target in itertools.permutations(sorted(HOSTS), 2):
            port = rng.choice((22, 445, 8000, 8001, 8005, 9000))
            assert allows(found, source, target, port) == bool(permission(found, source, target, port))


def test_a_network_at_home_is_open_to_whom_a_grant_lets_reach_its_node() -> None:
    found = model({"nas": {"wireguard_routes": ["192.168.7.0/24"], "mesh_services": [HELLO]}}, GRANTS)
    van = [f"{each}/{128 if ':' in each else 32}" for each in found["wireguard"]["nodes"]["van"]["addresses"]]
    assert wireguard_rules(found, "nas")["forward"] == [{"from": van, "ports": ["tcp:445", "udp:53"]}]
    assert wireguard_rules(found, "barn")["forward"] == []


def test_all_names_are_there_with_all_addresses() -> None:
    found = model()
    names = wireguard_names(found)
    assert list(names) == sorted(f"{name}.mesh.example.com" for name in HOSTS)
    assert names["nas.mesh.example.com"] == found["wireguard"]["nodes"]["nas"]["addresses"]


@pytest.mark.parametrize("ask", [lambda each: wireguard_rules(each, "edge"), wireguard_names])
def test_filters_of_wireguard_refuse_another_mesh(ask: t.Callable[[t.Any], t.Any]) -> None:
    with pytest.raises(AnsibleFilterError, match="needs a mesh on wireguard, and this one is on headscale"):
        ask(on_headscale())


def measured(found: t.Any) -> dict[str, t.Any]:
    predicted = {(each["from"], each["to"]): each["predicted"] for each in mesh_paths(found)}
    hosts = {}
    for name in [*found["nodes"], "controller"]:
        plan = probe_plan(found, name)
        hosts[name] = {
            "node": {"addresses": ["10.77.0.1"], "dns": "", "state": "Running"},
            "peers": [
                {"name": each["name"], "carried": True, "latency_ms": 1.0, "path": predicted[name, each["name"]]}
                for each in plan["peers"]
            ],
            "connections": [
                {**each, "outcome": "open" if permission(found, name, each["to"], each["port"]) else "silent"}
                for each in plan["connections"]
            ],
            "answers": [{"port": port, "open": True} for port in plan["answers"]],
            "urls": [{**each, "status": 200} for each in plan["urls"]],
            "ports": [{**each, "open": True} for each in plan["ports"]],
        }
    return hosts


def verdict(found: t.Any, hosts: dict[str, t.Any], strict: bool = True) -> dict[str, t.Any]:
    controller = hosts.pop("controller")
    return judge(found, hosts, controller, strict)


def test_a_healthy_mesh_keeps_all_promises() -> None:
    found = model(SERVING, GRANTS)
    result = verdict(found, measured(found))
    assert (result["ok"], result["problems"], result["not_measured"]) == (True, [], [])
    assert {each["observed"] for each in result["paths"]} == {"direct", "hub"}
    assert len(result["refusals"]) > len(result["grants"]) > 0


def test_the_table_counts_paths_by_hubs() -> None:
    found = model(SERVING, GRANTS)
    lines = render(verdict(found, measured(found)))
    assert any(re.fullmatch(r"\| from +\| direct \| hub \| failed \|", line) for line in lines)


def test_a_hub_where_a_direct_path_was_predicted_is_said() -> None:
    found = model()
    hosts = copy.deepcopy(measured(found))
    next(each for each in hosts["mini-1"]["peers"] if each["name"] == "mini-2")["path"] = "hub"
    result = verdict(found, hosts)
    assert result["problems"] == [
        "mini-1 reaches mini-2 by a hub, not a direct path: the peers of mini-1 or mini-2 are not those that the "
        "inventory gives them"
    ]


def test_a_host_without_its_interface_is_not_in_the_mesh() -> None:
    found = model()
    hosts = measured(found)
    hosts["nas"] |= {"node": None, "node_error": "there is no interface wm0"}
    assert (
        "nas is not in the mesh: its wm0 is not running there is no interface wm0" in verdict(found, hosts)["problems"]
    )


def test_no_subset_of_six_hosts_loses_a_peer() -> None:
    """Whoever is outside ``--limit`` is everybody's peer as before, whatever the run learns of those that it calls."""
    six = sorted(HOSTS)[:6]
    others = set(HOSTS) - set(six)
    known = registry(HOSTS)
    whole = {name: wireguard_peers(model(known=known)["wireguard"], name) for name in six}
    for size in range(7):
        for called in itertools.combinations(six, size):
            # A run merges what it learns of the hosts that it calls into what is known.
            merged = Registry()
            for name in called:
                merged = merged.record(name, [], key(name))
            again = model(known=known.merge(merged))
            for name in called:
                table = wireguard_peers(again["wireguard"], name)
                assert table == whole[name]
                assert {each["name"] for each in table["peers"]} >= {"hub-1", "hub-2"} - {name} - others
