# SPDX-License-Identifier: MIT

from __future__ import annotations

import ast
import dataclasses
import itertools
import json
import tracemalloc
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.filter.wireguard_peers import wireguard_peers
from ansible_collections.wonder.mesh.plugins.plugin_utils import _wireguard_tables
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_mesh import Reader
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_paths import predicted_paths
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_plain import as_plain
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_tables import Plan
from tests.bench.tables import World
from tests.unit.plugins.plugin_utils import wireguard_net
from tests.unit.plugins.plugin_utils.wireguard_net import Net
from tests.unit.plugins.plugin_utils.wireguard_world import HOSTS, HUBS, changed, key, mesh, read, registry, tables

ADDRESSES = {name: {"wireguard_address_v4": f"10.77.0.{number}"} for number, name in enumerate(HOSTS, 1)}
ONLY_V4 = {"wireguard_prefix_v6": ""}


def peers(table: t.Any) -> dict[str, t.Any]:
    return {peer["name"]: peer for peer in table["peers"]}


def test_a_home_behind_nat_gets_this_table() -> None:
    found = tables(mesh(ADDRESSES, ONLY_V4))["nas"]
    keys = {name: key(name) for name in HOSTS}
    assert found == {
        "name": "nas",
        "public_key": keys["nas"],
        "addresses": ["10.77.0.5/32"],
        "mtu": 1420,
        "port": 51820,
        "extra_ports": [],
        "peers": [
            {
                "name": "barn", "public_key": keys["barn"], "endpoint": "barn.example.net:40001",
                "allowed_ips": ["10.77.0.8/32"], "keepalive": 25, "preshared": True,
            },
            {
                "name": "hub-1", "public_key": keys["hub-1"], "endpoint": "203.0.113.1:51820",
                "allowed_ips": ["10.77.0.1/32", "10.77.0.0/16"], "keepalive": 25, "preshared": True,
            },
            {
                "name": "hub-2", "public_key": keys["hub-2"], "endpoint": "hub-2.example.com:51820",
                "allowed_ips": ["10.77.0.2/32"], "keepalive": 25, "preshared": True,
            },
        ],
        "routes": ["10.77.0.0/16"],
        "hubs": [{"name": "hub-1", "address": "10.77.0.1"}, {"name": "hub-2", "address": "10.77.0.2"}],
        "relayed": [{"networks": ["10.77.0.0/16"], "hubs": ["hub-1", "hub-2"]}],
        "forward": {"mesh": False, "networks": []},
    }  # fmt: skip


def test_a_firewall_with_one_port_is_left_by_that_port() -> None:
    found = tables(mesh())["laptop"]
    assert [peer["endpoint"] for peer in found["peers"]] == ["203.0.113.1:123", "hub-2.example.com:123"]
    assert tables(mesh())["hub-1"]["extra_ports"] == [123]


def test_hosts_of_one_home_call_each_other_there() -> None:
    found = tables(mesh())
    mini = peers(found["mini-1"])["mini-2"]
    assert (mini["endpoint"], mini["keepalive"]) == ("192.168.1.12:51820", 0)
    assert "nas" not in peers(found["mini-1"])  # the same address, in another home


def test_a_hub_forwards_and_calls_nobody_behind_nat() -> None:
    found = tables(mesh())["hub-1"]
    assert found["forward"]["mesh"] is True
    assert peers(found)["nas"]["endpoint"] is None
    assert all(peer["keepalive"] == 0 for peer in found["peers"])
    assert found["hubs"] == found["relayed"] == []


def test_in_hub_and_spoke_nodes_know_hubs_only() -> None:
    found = tables(mesh(everywhere={"wireguard_topology": "hub", "wireguard_hubs": ["hub-2", "hub-1"]}))
    assert list(peers(found["mini-1"])) == HUBS
    assert len(found["hub-1"]["peers"]) == len(HOSTS) - 1
    assert [hub["name"] for hub in found["mini-1"]["hubs"]] == ["hub-2", "hub-1"]


def test_who_reaches_one_hub_only_is_looked_for_there() -> None:
    changes = {**ADDRESSES, "hub-2": {"wireguard_extra_ports": None}}
    everywhere = {**ONLY_V4, "wireguard_hubs": ["hub-2", "hub-1"]}
    found = tables(mesh(changes, everywhere))
    assert found["nas"]["relayed"] == [
        {"networks": ["10.77.0.6/32"], "hubs": ["hub-1"]},
        {"networks": ["10.77.0.0/16"], "hubs": ["hub-2", "hub-1"]},
    ]
    net = Net(changed(changes, everywhere), found)
    assert {net.path(*pair) for pair in net.pairs()} == {"direct", "hub"}


def test_a_port_of_ones_own_router_is_not_called() -> None:
    """Few routers lead packets from inside back in, so without addresses at home two of one home meet at a hub."""
    wanted = mesh({"shed": {"mesh_home": "barn", "mesh_nat": "full-cone"}})
    assert "barn" not in peers(tables(wanted)["shed"])
    assert {"from": "shed", "to": "barn", "predicted": "hub"} in list(predicted_paths(wanted))


def test_an_ipv6_endpoint_stands_in_brackets() -> None:
    found = tables(mesh({"hub-1": {"mesh_public_address": "2001:db8::1"}}))["nas"]
    assert peers(found)["hub-1"]["endpoint"] == "[2001:db8::1]:51820"


def test_networks_of_a_home_go_to_all_others_and_not_to_its_own() -> None:
    found = tables(mesh({"mini-1": {"wireguard_routes": ["192.168.7.0/24"]}}))
    assert "192.168.7.0/24" in peers(found["hub-1"])["mini-1"]["allowed_ips"]
    assert "192.168.7.0/24" in found["nas"]["relayed"][0]["networks"]
    assert "192.168.7.0/24" in found["nas"]["routes"]
    assert "192.168.7.0/24" not in found["mini-2"]["routes"]
    assert found["mini-1"]["forward"]["networks"] == ["192.168.7.0/24"]


def test_a_node_without_a_key_is_nobodys_peer_and_may_see_its_own_table() -> None:
    wanted = mesh(known=registry(set(HOSTS) - {"nas"}))
    assert all("nas" not in peers(table) for table in tables(wanted).values())
    assert len(Plan(wanted, "nas").table("nas")["peers"]) == 3


def test_every_pair_of_the_demo_talks_as_predicted_and_with_either_hub_down() -> None:
    wanted = mesh()
    predicted = {(each["from"], each["to"]): each["predicted"] for each in predicted_paths(wanted)}
    for down in ([], ["hub-1"], ["hub-2"]):
        net = Net(changed(), tables(wanted), down)
        assert {pair: net.path(*pair) for pair in net.pairs()} == {pair: predicted[pair] for pair in net.pairs()}
    assert predicted["mini-1", "mini-2"] == "direct"
    assert predicted["mini-1", "laptop"] == predicted["laptop", "mini-1"] == "hub"


@pytest.mark.parametrize("size", range(7))
def test_a_limit_to_any_hosts_of_six_loses_no_peer(size: int) -> None:
    """All 64 subsets, by size. Only who is in the limit shows its key in the run; the registry knows the others."""
    six = dict(itertools.islice(changed().items(), 6))
    known, _ = read(six)
    assert known is not None
    for limit in itertools.combinations(six, size):
        for name in limit:
            found = wireguard_peers(as_plain(known), name, {each: key(each) for each in limit})
            assert found == Plan(known).table(name)


def test_a_node_that_is_down_and_has_no_key_yet_costs_only_itself() -> None:
    six = dict(itertools.islice(changed().items(), 6))
    whole, partly = read(six)[0], read(six, registry(set(six) - {"mini-2"}))[0]
    assert whole is not None
    assert partly is not None
    before, now = tables(whole), tables(partly)
    for name in six.keys() - {"mini-2"}:
        assert [peer["name"] for peer in now[name]["peers"]] == [
            peer["name"] for peer in before[name]["peers"] if peer["name"] != "mini-2"
        ]


def test_the_same_mesh_gives_the_same_tables() -> None:
    wanted = mesh()
    assert json.dumps(tables(wanted)) == json.dumps(tables(mesh()))
    one = Plan(wanted)
    assert [one.table(name) for name in sorted(wanted.nodes, reverse=True)][::-1] == list(Plan(wanted).tables())


@pytest.mark.parametrize("args", [(30, 30, "full"), (30, 6, "auto", 2), (30, 2, "hub", 2)])
@pytest.mark.parametrize("last", ["node-00029", "node-00011"])
def test_a_node_more_gives_what_a_full_build_gives(args: tuple[t.Any, ...], last: str) -> None:
    world = World(*args)
    reader = Reader(world.inventory, world.registry, Problems())
    reader.read(world.hosts[name] for name in world.names if name != last)
    before = reader.mesh()
    assert before is not None
    plan = Plan(before)
    made = list(plan.tables())
    reader.read([world.hosts[last]])
    after = reader.mesh()
    assert after is not None
    plan.add(after.nodes[last])
    whole = {table["name"]: table for table in Plan(world.read()).tables()}
    assert {name: plan.table(name) for name in world.names} == whole
    viewers = dict(plan.viewers(last))
    for table in made:
        gained = [peer for peer in whole[table["name"]]["peers"] if peer not in table["peers"]]
        assert gained == ([viewers[table["name"]]] if table["name"] in viewers else [])


@pytest.mark.parametrize("last", ["barn", "mini-1", "laptop", "van"])
def test_a_node_more_in_a_home_gives_what_a_full_build_gives(last: str) -> None:
    routes = {name: {"wireguard_routes": [f"192.168.{number}.0/24"]} for number, name in enumerate(HOSTS, 10)}
    mates = {f"mini-{number}": {**HOSTS["mini-1"], "ansible_host": f"192.168.1.{number}"} for number in (3, 0)}
    whole = mesh({**routes, **mates})
    plan = Plan(dataclasses.replace(whole, nodes={name: each for name, each in whole.nodes.items() if name != last}))
    list(plan.tables())
    plan.add(whole.nodes[last])
    assert list(plan.tables()) == list(Plan(whole).tables())


def test_tables_share_their_rows() -> None:
    one, other, *_ = list(Plan(World(50, 50, "full").read()).tables())
    shared = {id(peer) for peer in one["peers"]} & {id(peer) for peer in other["peers"]}
    assert len(shared) == 48


def test_memory_grows_as_the_mesh_does() -> None:
    def peak(count: int) -> int:
        wanted = World(count, count, "full").read()
        tracemalloc.start()
        for _ in Plan(wanted).tables():
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(400) < 2.6 * peak(200)


def test_the_simulator_knows_nothing_of_the_code_under_test() -> None:
    with open(wireguard_net.__file__, encoding="utf-8") as stream:
        tree = ast.parse(stream.read())
    names = [each.module or "" for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)]
    assert not [name for name in names if name.startswith("ansible_collections")]
    assert _wireguard_tables.__name__ not in names
