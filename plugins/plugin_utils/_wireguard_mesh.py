# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The WireGuard mesh as the inventory and the registry have it, read and checked."""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Mapping

from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_addresses import read_given, read_pools
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_checks import Claims, check_hubs, check_tailscale
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_pairs import Pairs
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_read import (
    read_clients,
    read_hubs,
    read_node,
    read_preshared,
    read_topology,
)
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_registry import (
    VARIABLE,
    Registry,
    check_keys,
    check_registry,
)
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_types import Mesh, Node

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Host


class Reader:
    """Reads hosts one by one into a mesh; each is checked against those before it."""

    def __init__(self, inventory: Inventory, registry: Registry, problems: Problems) -> None:
        self.inventory, self.registry, self.problems = inventory, registry, problems
        self.topology = read_topology(inventory, problems)
        self.hubs = read_hubs(inventory, problems)
        self.preshared = read_preshared(inventory, problems)
        self.pools = read_pools(inventory, problems)
        self.nodes: dict[str, Node] = {}
        self._ipv6 = any(pool.family == 1 for pool in self.pools)
        self._claims = Claims(pool.network for pool in self.pools)
        self._pairs = Pairs()
        self.clients = read_clients(inventory, problems)
        for name in registry.nodes.keys() - inventory.groups["nodes"] - self.clients.keys():
            entry = registry.get(name)
            for pool in self.pools:
                pool.reserve(entry.addresses if entry else ())

    def read(self, hosts: Iterable[Host]) -> None:
        """One or more hosts. Whoever has an address already comes first, so that no new one takes it."""
        missing: list[tuple[Node, dict[int, str]]] = []
        for host in hosts:
            node = read_node(host, self.inventory, self._ipv6, self.problems)
            self._claims.enter(node, self.problems)
            missing.append((node, self._kept(node.name)))
        for node, found in sorted(missing, key=lambda each: each[0].name):
            entry = self.registry.get(node.name)
            for pool in self.pools:
                if pool.family not in found and (address := pool.give(node.name, self.problems)) is not None:
                    found[pool.family] = address
            addresses = tuple(found[family] for family in sorted(found) if found[family])
            key = entry.public_key or None if entry else None
            self.nodes[node.name] = dataclasses.replace(node, addresses=addresses, public_key=key)

    def _kept(self, name: str) -> dict[int, str]:
        """The addresses that the node has, by family; an empty text for one that it cannot have."""
        given = read_given(name, self.inventory, self.pools, self.problems)
        entry = self.registry.get(name)
        kept = {}
        for pool in self.pools:
            if pool.family in given:
                kept[pool.family] = pool.keep(name, given[pool.family], pool.address_variable, self.problems) or ""
                continue
            for address in entry.addresses if entry else ():
                if pool.has(address):
                    kept[pool.family] = pool.keep(name, address, VARIABLE, self.problems) or ""
        return kept

    def mesh(self) -> Mesh | None:
        """All that was read so far, if nothing is wrong with it."""
        nodes = {name: self.nodes[name] for name in sorted(self.nodes)}
        pools, clients = tuple(pool.network for pool in self.pools), dict(self.clients)
        mesh = Mesh(self.topology, pools, self.hubs, self.preshared, nodes, clients)
        if not self.problems.lines:
            check_hubs(mesh, self.problems)
        if not self.problems.lines:
            self._pairs.check(mesh, self.problems)
        return None if self.problems.lines else mesh


def read_mesh(
    inventory: Inventory,
    hosts: Mapping[str, Host],
    registry: Registry,
    problems: Problems,
    tailscale: Iterable[str] = (),
) -> Mesh | None:
    """hosts: as the model has read them. tailscale: those of them that have Tailscale too. Raises nothing."""
    own = Problems()
    check_registry(registry, own)
    check_keys(registry, {}, own)
    reader = Reader(inventory, registry, own)
    reader.read([*(hosts[name] for name in inventory.groups["nodes"] if name in hosts), *map(_as_host, reader.clients)])
    check_tailscale(reader.pools, reader.nodes.values(), tailscale, own)
    mesh = reader.mesh()
    problems.lines += [line for line in own.lines if line not in problems.lines]
    return mesh


def _as_host(client: str) -> Host:
    """Somewhere behind some NAT, as far as anybody knows."""
    return {
        "name": client, "label": client, "dns": client, "groups": [], "public_address": None, "home": None,
        "nat": "auto", "tun": True, "proxy_port": 0, "interface": "", "tags": [],
    }  # fmt: skip
