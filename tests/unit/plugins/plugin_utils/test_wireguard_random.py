# SPDX-License-Identifier: MIT

"""Random meshes, good and bad, against a model of the network that was written apart from the code under test.

WONDER_MESH_CASES is the number of cases of each test; the default is a tenth of 2,000, the full search.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import typing as t

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_paths import predicted_paths
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_plain import as_plain, of_plain
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_registry import Entry, Registry
from tests.unit.plugins.plugin_utils.wireguard_net import Net, addresses
from tests.unit.plugins.plugin_utils.wireguard_world import key, read, registry, tables

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_types import Mesh

FORM = re.compile(r"\S+: .+: found .+: .+\. .+\.")  # where, variable, found, reason, fix
CASES = int(os.environ.get("WONDER_MESH_CASES", 2 * settings().max_examples))
SEARCH = settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
NATS = ["easy", "hard", "full-cone", "cgnat", "udp-blocked", "auto"]
NAMES = ["a", "b", "c", "d", "e", "f"]
PORTS = [None, [123], [123, 443]]


@st.composite
def hosts(draw: st.DrawFn) -> tuple[dict[str, dict[str, t.Any]], list[str]]:
    """An inventory without mistakes, but perhaps with pairs that have no way; and its hubs."""
    homes = {
        home: {"mesh_nat": draw(st.sampled_from(NATS)), "wireguard_outbound_ports": draw(st.sampled_from(PORTS))}
        for home in ("x", "y", "z")
    }
    found: dict[str, dict[str, t.Any]] = {}
    for number, name in enumerate(NAMES[: draw(st.integers(2, len(NAMES)))]):
        home = draw(st.sampled_from(["", "", "x", "y", "z"]))
        host: dict[str, t.Any] = {"mesh_home": home, **homes[home]} if home else {}
        if not home:
            host["mesh_public_address"] = draw(
                st.sampled_from([f"203.0.113.{number}", f"2001:db8::{number}", f"{name}.example.com"])
            )
            host["wireguard_extra_ports"] = draw(st.sampled_from(PORTS))
        elif draw(st.booleans()):
            host["wireguard_lan_address"] = f"192.168.1.{number + 10}"
        if home and host["mesh_nat"] not in ("cgnat", "udp-blocked") and draw(st.integers(0, 2)) == 0:
            host["wireguard_endpoints"] = [f"home-{home}.example.net:{port}" for port in (40000 + number, 123 + number)]
        if draw(st.integers(0, 3)) == 0:
            host["wireguard_routes"] = [f"10.200.{number}.0/24", f"fd00:{number + 1}::/64"]
        found[name] = {variable: value for variable, value in host.items() if value is not None}
    reachable = [n for n, each in found.items() if {"mesh_public_address", "wireguard_endpoints"} & each.keys()]
    hubs = draw(st.permutations(reachable))[: draw(st.integers(0, 3))]
    everywhere = {"wireguard_topology": draw(st.sampled_from(["auto", "auto", "full", "hub"])), "wireguard_hubs": hubs}
    for name, host in found.items():
        if any(found[hub].get("mesh_home", name) == host.get("mesh_home") for hub in hubs if hub != name):
            host.pop("wireguard_routes", None)
    if draw(st.integers(0, 3)) == 0:
        everywhere[draw(st.sampled_from(["wireguard_prefix_v4", "wireguard_prefix_v6"]))] = ""
    return {name: {**everywhere, **each} for name, each in found.items()}, hubs


def check(mesh: Mesh, raw: dict[str, dict[str, t.Any]], hubs: t.Sequence[str]) -> None:
    """All that must hold of a mesh that was accepted."""
    made = tables(of_plain(json.loads(json.dumps(as_plain(mesh)))))
    assert set(made) == set(raw)
    every = [address for table in made.values() for address in addresses(table)]
    assert len(set(every)) == len(every)
    assert all(any(ipaddress.ip_address(each) in ipaddress.ip_network(pool) for pool in mesh.pools) for each in every)
    keys = {peer["public_key"] for table in made.values() for peer in table["peers"]}
    assert len(keys) == (len(raw) if len(raw) > 1 else 0)
    net = Net(raw, made)
    predicted = {(each["from"], each["to"]): each["predicted"] for each in predicted_paths(mesh)}
    for pair in net.pairs():
        assert net.path(*pair) == predicted[pair] == net.possible(mesh.topology, mesh.hubs, *pair)
    check_routes(net)
    for hub in hubs:
        without = Net(raw, made, down=[hub])
        for pair in without.pairs():
            left = without.possible(mesh.topology, mesh.hubs, *pair)
            # Where no hub is left that both reach, a way through two of them may turn up, which nobody has promised.
            assert left == "none" or without.path(*pair) == left, (hub, pair)


def check_routes(net: Net) -> None:
    """The networks behind a host are found by all that are not of its home."""
    for owner, table in net.tables.items():
        for route in table["forward"]["networks"]:
            inside = ipaddress.ip_network(route)[1]
            home = net.hosts[owner].get("mesh_home")
            for name, other in net.tables.items():
                versions = {ipaddress.ip_address(each).version for each in addresses(other)}
                if (
                    name != owner
                    and inside.version in versions
                    and (home is None or home != net.hosts[name].get("mesh_home"))
                ):
                    assert net.hops(name, owner, str(inside)) is not None, (name, owner, route)


@SEARCH
@given(hosts())
def test_what_is_accepted_talks_and_what_is_refused_could_not(world: tuple[dict[str, t.Any], list[str]]) -> None:
    raw, hubs = world
    found, problems = read(raw)
    topology = next(iter(raw.values()))["wireguard_topology"]
    net = Net(raw, {name: {"name": name, "peers": [], "relayed": []} for name in raw})
    possible = all(net.possible(topology, hubs, *pair) != "none" for pair in net.pairs())
    assert (found is not None) == possible, problems
    if found is not None:
        check(found, raw, hubs)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
LIKELY = st.sampled_from(
    ["10.77.0.5", "10.77.0.6", "10.77.0.0", "10.78.0.1", "fd77:6d65:7368::5", "FD77:6D65:7368::0005", "192.168.1.10",
     "192.168.1.11", "203.0.113.0", "203.0.113.1", "a.example.com", "A.example.com", "127.0.0.1", "100.64.0.9", "x",
     "y", "public", "easy", "cgnat", "udp-blocked", "auto", "full", "hub", "51820", 51820, 123, 0, 65535, 65536, 1279,
     1280, 1420, True, False, "", [], ["a"], ["b", "a"], ["a", "a"], ["zz"], [123], ["123"], [51820], [0], [1, 1],
     ["10.200.0.0/24"], ["10.200.0.0/16"], ["10.200.0.128/25"], ["192.168.1.0/24"], ["203.0.113.0/24"],
     ["10.77.9.0/24"], ["10.0.0.0/8"], ["0.0.0.0/0"], ["10.1.1.1/24"], ["::/0"], ["fd00::/16"], ["10.200.9.0/24",
     "10.200.9.0/24"], ["home-x.example.net:40000"], ["home-x.example.net:40001"], ["203.0.113.1:51820"],
     ["[2001:db8::1]:123"], ["x:99999"], ["203.0.113.9"], ["10.77.0.9:51820"], "10.77.0.0/30", "10.77.0.0/29",
     "10.77.0.0/31", "10.77.0.1/16", "10.0.0.0/8", "192.168.0.0/16", "203.0.113.0/24", "100.64.0.0/10", "fd00::/8",
     "2001:db8::/64", "fd00::/126", "0.0.0.0/0"]
)  # fmt: skip
VARIABLES = st.sampled_from(
    ["mesh_home", "mesh_nat", "mesh_public_address", "ansible_host", "wireguard_topology", "wireguard_hubs",
     "wireguard_preshared_keys", "wireguard_prefix_v4", "wireguard_prefix_v6", "wireguard_address_v4",
     "wireguard_address_v6", "wireguard_port", "wireguard_extra_ports", "wireguard_outbound_ports",
     "wireguard_endpoints", "wireguard_lan_address", "wireguard_routes", "wireguard_mtu", "wireguard_clients"]
)  # fmt: skip
WHOLE = (
    "wireguard_topology",
    "wireguard_clients",
    "wireguard_hubs",
    "wireguard_preshared_keys",
    "wireguard_prefix_v4",
    "wireguard_prefix_v6",
)
MUTATIONS = st.lists(
    st.tuples(st.sampled_from([*NAMES, "*"]), VARIABLES, LIKELY | LIKELY | JSON), min_size=1, max_size=4
)
ENTRIES = st.builds(
    Entry,
    st.integers(1, 2),
    st.sampled_from([(), ("10.77.0.5",), ("10.77.0.6", "fd77:6d65:7368::5"), ("10.78.0.1",)]),
    st.sampled_from([key("a"), key("b"), key("z"), ""]),
)


@SEARCH
@given(
    hosts(),
    MUTATIONS,
    st.dictionaries(st.sampled_from([*NAMES, "gone"]), st.frozensets(ENTRIES, min_size=1), max_size=2),
)
def test_no_mutation_is_accepted_that_does_not_work(
    world: tuple[dict[str, t.Any], list[str]], mutations: list[tuple[str, str, t.Any]], entries: dict[str, t.Any]
) -> None:
    raw = {name: dict(each) for name, each in world[0].items()}
    for name, variable, value in mutations:
        for host in raw if name == "*" or variable in WHOLE else [name]:
            if host in raw:
                raw[host][variable] = value
    known = registry(raw).merge(Registry(entries))
    found, problems = read(raw, known)
    assert (found is None) == bool(problems)
    for line in problems:
        assert FORM.fullmatch(line), line
        assert line.isprintable()
    if found is not None and all(node.public_key for node in found.nodes.values()):
        check(found, raw, found.hubs)
        assert all(node.mtu >= 1280 for node in found.nodes.values()) or all(":" not in pool for pool in found.pools)
