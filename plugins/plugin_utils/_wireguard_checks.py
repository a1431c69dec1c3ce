# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""What must hold between the hosts of a WireGuard mesh: nothing has two owners."""

from __future__ import annotations

import bisect
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._values import ip_address
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_addresses import Span, span
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_read import CGNAT

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems
    from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_addresses import Pool
    from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_types import Mesh, Node

EVERYWHERE = ""  # instead of the name of a home, which is never empty
BEYOND = 1 << 128


class Claims:
    """Who has which endpoint, address at home and network. Hosts are entered one by one."""

    def __init__(self, pools: Iterable[str]) -> None:
        self._pools = list(pools)
        self._sockets: dict[tuple[str, str, int], str] = {}
        # Both sorted. Networks do not overlap, so the one before a place is the only one that can hold it.
        self._networks: list[Span] = []
        self._owners: dict[Span, tuple[str, Node]] = {}
        # Addresses that tunnels run over: version, number, and the home in which it means this host.
        self._points: list[tuple[int, int, str]] = []
        self._there: dict[tuple[int, int, str], tuple[str, Node]] = {}

    def enter(self, node: Node, problems: Problems) -> None:
        for host, port in node.endpoints:
            variable = "mesh_public_address" if node.public else "wireguard_endpoints"
            self._socket(host, port, EVERYWHERE, node, variable, problems)
        if node.lan is not None and node.home is not None:
            self._socket(node.lan, node.port, node.home, node, "wireguard_lan_address", problems)
        for route in node.routes:
            self._route(route, node, problems)

    def _socket(self, host: str, port: int, home: str, node: Node, variable: str, problems: Problems) -> None:
        owner = self._sockets.setdefault((home, host, port), node.name)
        if owner != node.name:
            reason = f"{owner} is called there already, and one socket is one host's"
            problems.add(node.name, variable, f"{host} port {port}", reason, "Correct one of the two")
        if ip_address(host) is None:
            return
        point = (*span(host)[:2], home)
        if point in self._there:
            return
        bisect.insort(self._points, point)
        self._there[point] = host, node
        for pool in self._pools:
            if span(pool).overlaps(span(host)):
                reason = f"it lies in {pool}, the network of mesh addresses, so it would be looked for in the tunnel"
                problems.add(node.name, variable, host, reason, "Use a mesh network that no network below has")
        place = bisect.bisect(self._networks, (*point[:2], BEYOND)) - 1
        if place >= 0 and self._networks[place].overlaps(span(host)):
            route, owns = self._owners[self._networks[place]]
            if home != owns.home:
                _report_hidden(route, owns, host, node, problems)

    def _route(self, route: str, node: Node, problems: Problems) -> None:
        variable, net = "wireguard_routes", span(route)
        for pool in self._pools:
            if net.overlaps(span(pool)):
                reason = f"it overlaps {pool}, the network of mesh addresses"
                problems.add(node.name, variable, route, reason, "Use another network for one of the two")
        place = bisect.bisect(self._networks, net)
        around = [each for each in self._networks[max(0, place - 1) : place + 1] if each.overlaps(net)]
        for each in around:
            other, owner = self._owners[each]
            fix = "Take one of them away, or make them apart"
            problems.add(node.name, variable, route, f"it overlaps {other}, which {owner.name} has", fix)
        for point in self._points[bisect.bisect_left(self._points, (net.version, net.first, "")) :]:
            if point[:2] > (net.version, net.last):
                break
            if point[2] != node.home:
                _report_hidden(route, node, *self._there[point], problems)
        if not around:
            self._networks.insert(place, net)
            self._owners[net] = route, node


def _report_hidden(route: str, owner: Node, host: str, node: Node, problems: Problems) -> None:
    reason = f"{node.name} is at {host}, where others would then no longer find it, but go to {owner.name}"
    fix = "Take the network away, or give one of the homes another"
    problems.add(owner.name, "wireguard_routes", route, reason, fix)


def check_tailscale(pools: Iterable[Pool], nodes: Iterable[Node], tailscale: Iterable[str], problems: Problems) -> None:
    """tailscale: hosts with Tailscale, which drops packets from 100.64.0.0/10 that come in by another interface."""
    hosts = sorted(tailscale)
    if not hosts:
        return
    reason = f"{hosts[0]} has Tailscale, which takes all of 100.64.0.0/10 for its own"
    fix = "Use another network, or take Tailscale away"
    for pool in pools:
        if span(pool.network).overlaps(CGNAT):
            problems.add("all", pool.variable, pool.network, reason, fix)
    for node in nodes:
        for route in node.routes:
            if span(route).overlaps(CGNAT):
                problems.add(node.name, "wireguard_routes", route, reason, fix)


def check_hubs(mesh: Mesh, problems: Problems) -> None:
    if mesh.topology == "full":
        return
    for name in mesh.hubs:
        if not mesh.nodes[name].endpoints:
            fix = "Set mesh_public_address or wireguard_endpoints, or take it out of wireguard_hubs"
            problems.add(name, "wireguard_hubs", list(mesh.hubs), "the internet does not reach this hub", fix)
    for node in mesh.nodes.values():
        others = (hub for hub in mesh.hubs if hub != node.name and mesh.nodes[hub].home == node.home)
        if node.routes and node.home is not None and (hub := next(others, None)) is not None:
            reason = f"{hub} of the same home is a hub, and would lead what it gets for them past {node.name}"
            problems.add(node.name, "wireguard_routes", list(node.routes), reason, f"Give them to {hub}")
