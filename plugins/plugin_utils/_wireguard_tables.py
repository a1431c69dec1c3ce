# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Peer tables of a checked WireGuard mesh, one host at a time.

Most nodes look alike to most others, so rows are made once per kind of viewer and shared by all tables: with N nodes
there are N rows per kind, and a table is a list of references. Only those of one's own home are looked at one by one.
Nothing may change a row, neither here nor in a caller.
"""

from __future__ import annotations

import bisect
import dataclasses
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_paths import common, hubs_of, meet
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_types import KEEPALIVE

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_types import Mesh, Node, Peer, Relayed, Table

    Outbound = tuple[int, ...] | None
    Kind = tuple[Outbound, tuple[Outbound, ...], bool]
    Rows = dict[str, Peer]
    Hubs = tuple[str, ...]


class Plan:
    """The tables of all nodes that have a key; a node without one has never been set up, and is nobody's peer yet."""

    def __init__(self, mesh: Mesh, viewer: str | None = None) -> None:
        """viewer: a node that may ask for its table although it has no key yet."""
        known = {name: node for name, node in mesh.nodes.items() if node.public_key is not None or name == viewer}
        self.mesh = dataclasses.replace(mesh, nodes=known)
        self._index()

    def _index(self) -> None:
        self._outbounds: dict[Outbound, None] = {node.outbound: None for node in self.mesh.nodes.values()}
        self._kinds: dict[str, Kind] = {}
        self._rows: dict[Kind, Rows] = {}
        self._viewers: dict[Kind, Node] = {}
        self._mates: dict[tuple[str, Kind, bool, bool], tuple[Rows, list[str]]] = {}
        self._homes: dict[str, list[Node]] = {}
        self._hubs: dict[str, Hubs] = {}
        self._behind: dict[Hubs, list[Node]] = {}
        self._with_routes: list[Node] = []
        for node in self.mesh.nodes.values():
            self._enter(node)

    def _enter(self, node: Node) -> None:
        self._kinds[node.name] = self._kind(node)
        if node.home is not None:
            _insert(self._homes.setdefault(node.home, []), node)
        hubs = self._hubs[node.name] = hubs_of(self.mesh, node)
        _insert(self._behind.setdefault(hubs, []), node)
        if node.routes:
            _insert(self._with_routes, node)

    def add(self, node: Node) -> None:
        """One more node, with a key. What has been made for the others stays, unless it shows them another world."""
        self.mesh.nodes[node.name] = node
        if node.outbound not in self._outbounds or node.name in self.mesh.hubs:
            return self._index()
        self._enter(node)
        for kind, rows in self._rows.items():
            last = next(reversed(rows), "")
            if (row := self._row(self._viewers[kind], node)) is not None:
                rows[node.name] = row
            if node.name < last:
                self._rows[kind] = dict(sorted(rows.items()))
        self._mates = {key: each for key, each in self._mates.items() if key[0] != node.home}

    def viewers(self, name: str) -> Iterator[tuple[str, Peer]]:
        """Who has the node as a peer, and how, but for what lies behind it if it is a hub."""
        node = self.mesh.nodes[name]
        for viewer in self.mesh.nodes.values():
            row = self._rows_for(viewer).get(name) if apart(viewer, node) else self._row(viewer, node)
            if row is not None and viewer.name != name:
                yield viewer.name, row

    def tables(self) -> Iterator[Table]:
        """All of them, one after the other, so that no more than one need be in memory."""
        return map(self.table, sorted(self.mesh.nodes))

    def table(self, name: str) -> Table:
        """The table of one node. KeyError if it is unknown, or has no key and was not named as the viewer."""
        node = self.mesh.nodes[name]
        peers = self._peers(node)
        relayed = self._relayed(node, peers)
        for each in relayed:
            first = peers[each["hubs"][0]]
            peers[first["name"]] = {**first, "allowed_ips": [*first["allowed_ips"], *each["networks"]]}
        used = {hub for each in relayed for hub in each["hubs"]}
        routes = [net for other in self._with_routes if apart(node, other) for net in other.routes]
        return {
            "name": name,
            "public_key": node.public_key or "",
            "addresses": host_networks(node),
            "mtu": node.mtu,
            "port": node.port,
            "extra_ports": list(node.extra_ports),
            "peers": list(peers.values()),
            "routes": [*self.mesh.pools, *routes],
            "hubs": [
                {"name": hub, "address": self.mesh.nodes[hub].addresses[0]} for hub in self._hubs[name] if hub in used
            ],
            "relayed": relayed,
            "forward": {
                "mesh": name in self.mesh.hubs and self.mesh.topology != "full",
                "networks": list(node.routes),
            },
        }

    def _peers(self, node: Node) -> Rows:
        peers = self._rows_for(node).copy()
        mates = self._homes.get(node.home, []) if node.home is not None else []
        if len(mates) > 1:
            before = len(peers)
            direct, gone = self._mates_for(node, mates)
            peers |= direct
            for name in gone:
                peers.pop(name, None)
            if 0 < before < len(peers):
                peers = dict(sorted(peers.items()))
        peers.pop(node.name, None)
        return peers

    def _kind(self, node: Node) -> Kind:
        """All that others of other homes see of a node that calls them: what it can call, who can call it back."""
        ports = [port for _, port in node.endpoints]
        callers = tuple(
            outbound for outbound in self._outbounds
            if any(outbound is None or port in outbound for port in ports)
        )  # fmt: skip
        return node.outbound, callers, node.name in self.mesh.hubs

    def _rows_for(self, node: Node) -> Rows:
        """The rows that the node would have if it were alone at home, and one for itself."""
        kind = self._kinds[node.name]
        if kind not in self._rows:
            viewer = self._viewers[kind] = dataclasses.replace(node, home=None)
            made = ((name, self._row(viewer, self.mesh.nodes[name])) for name in sorted(self.mesh.nodes))
            self._rows[kind] = {name: row for name, row in made if row is not None}
        return self._rows[kind]

    def _mates_for(self, node: Node, mates: list[Node]) -> tuple[Rows, list[str]]:
        """The rows for those of the same home, and who of them is no peer."""
        key = (str(node.home), self._kinds[node.name], node.public, node.lan is not None)
        if key not in self._mates:
            rows = {mate.name: self._row(node, mate) for mate in mates}
            direct = {name: row for name, row in rows.items() if row is not None}
            self._mates[key] = direct, [name for name, row in rows.items() if row is None]
        return self._mates[key]

    def _row(self, viewer: Node, other: Node) -> Peer | None:
        calls = meet(self.mesh, viewer, other)
        if calls is None:
            return None
        out, back = calls
        return {
            "name": other.name,
            "public_key": other.public_key or "",
            "endpoint": None if out is None else f"[{out[0]}]:{out[1]}" if ":" in out[0] else f"{out[0]}:{out[1]}",
            "allowed_ips": [*host_networks(other), *other.routes],
            # Who cannot be called keeps the way open on which it is answered; nobody else has to.
            "keepalive": KEEPALIVE if back is None else 0,
            "preshared": self.mesh.preshared,
        }

    def _relayed(self, node: Node, peers: Rows) -> list[Relayed]:
        """What lies behind hubs. Most often that is all the rest of the mesh, which is said in one network per pool."""
        rest, hubs = len(self.mesh.nodes) - 1 - len(peers), self._hubs[node.name]
        if not rest or not hubs:
            return []
        groups: dict[Hubs, list[str]] = {}
        for theirs, members in self._behind.items():
            both = common(hubs, theirs)
            if both == hubs:
                continue
            for each in members:
                if each.name not in peers and each.name != node.name:
                    rest -= 1
                    groups.setdefault(both, []).extend(host_networks(each))
        if rest:
            groups[hubs] = list(self.mesh.pools)
        for each in self._with_routes:
            if each.name not in peers and apart(node, each):
                groups.setdefault(common(hubs, self._hubs[each.name]), []).extend(each.routes)
        return [{"networks": groups[key], "hubs": list(key)} for key in sorted(groups) if key]


def _insert(nodes: list[Node], node: Node) -> None:
    """Where it belongs by name, so that tables do not depend on who came when."""
    bisect.insort(nodes, node, key=lambda each: each.name)


def apart(one: Node, other: Node) -> bool:
    """Whether they are of different homes, so that the one needs the other for the networks there."""
    return one.name != other.name and (one.home is None or one.home != other.home)


def host_networks(node: Node) -> list[str]:
    return [f"{address}/{128 if ':' in address else 32}" for address in node.addresses]
