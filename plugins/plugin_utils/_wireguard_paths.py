# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Who reaches whom in a WireGuard mesh: the one place that decides between a direct peer and a way through a hub.

Nobody tells a node of WireGuard which port a router chose for another node, so there is no punching of holes: a peer is
called at an endpoint that the inventory knows, or not at all. That holds for every kind of NAT, full cone included.
"""

from __future__ import annotations

import itertools
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_types import Mesh, Node

    Endpoint = tuple[str, int]
    Hubs = tuple[str, ...]


def dial(one: Node, other: Node) -> Endpoint | None:
    """Where the one calls the other; None if it cannot, and has to wait for a call."""
    if one.home is not None and one.home == other.home:
        if other.lan is not None:
            return other.lan, other.port
        if not other.public:
            return None  # few routers lead a packet from inside back in
    for endpoint in other.endpoints:
        if one.outbound is None or endpoint[1] in one.outbound:
            return endpoint
    return None


def meet(mesh: Mesh, one: Node, other: Node) -> tuple[Endpoint | None, Endpoint | None] | None:
    """Where the one calls the other, and the other the one; None if they are no peers of each other."""
    if mesh.topology == "hub" and one.name not in mesh.hubs and other.name not in mesh.hubs:
        return None
    calls = dial(one, other), dial(other, one)
    return None if calls == (None, None) else calls


def hubs_of(mesh: Mesh, node: Node) -> Hubs:
    """The other hubs that the node has a direct path to, in their order; two nodes meet at the first that both have."""
    if mesh.topology == "full":
        return ()
    others = [mesh.nodes[hub] for hub in mesh.hubs if hub != node.name and hub in mesh.nodes]
    return tuple(hub.name for hub in others if meet(mesh, node, hub) is not None)


def common(one: Hubs, other: Hubs) -> Hubs:
    """The hubs that two nodes have in common, in the order that is the same on both sides."""
    return one if one == other else tuple(hub for hub in one if hub in other)


def path(mesh: Mesh, one: Node, other: Node, hubs: Hubs, others: Hubs) -> str:
    """direct or hub, the same for both directions; none, if they cannot talk, which a checked mesh does not have.

    hubs, others: the hubs of the one and of the other, as hubs_of() has them.
    """
    if meet(mesh, one, other) is not None:
        return "direct"
    return "hub" if common(hubs, others) else "none"


def predicted_paths(mesh: Mesh) -> Iterator[dict[str, str]]:
    """{"from", "to", "predicted": "direct"|"hub"} for all ordered pairs of nodes but clients, sorted."""
    nodes = [node for name, node in mesh.nodes.items() if name not in mesh.clients]
    hubs = {node.name: hubs_of(mesh, node) for node in nodes}
    for one, other in itertools.permutations(nodes, 2):
        yield {
            "from": one.name,
            "to": other.name,
            "predicted": path(mesh, one, other, hubs[one.name], hubs[other.name]),
        }
