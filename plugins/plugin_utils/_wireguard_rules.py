# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""What a node of a WireGuard mesh lets in. There is no control plane that could refuse, so each node does it itself.

WireGuard sees to it that a packet comes from the node whose address it has, or from a hub that vouches for it.
"""

from __future__ import annotations

import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._access import people_of
from ansible_collections.wonder.mesh.plugins.plugin_utils._plan import names, nodes_of
from ansible_collections.wonder.mesh.plugins.plugin_utils._service_entry import port_range
from ansible_collections.wonder.mesh.plugins.plugin_utils._types import SSH_PORT
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_plain import of_plain
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_tables import host_networks

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model
    from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_types import Mesh


# "from" is a keyword of Python, hence the functional form.
Rule = t.TypedDict("Rule", {"from": list[str], "ports": list[str]})


class Rules(t.TypedDict):
    """What may come in by the interface: to the node itself, and on to the networks of its home."""

    input: list[Rule]
    forward: list[Rule]


def rules(model: Model, node: str) -> Rules:
    """All else that comes in is dropped, but answers and ICMP. ports: "tcp:22", "udp:53", "tcp:1-9" or "tcp:*"."""
    mesh = of_plain(model["wireguard"])
    networks = {name: host_networks(each) for name, each in mesh.nodes.items()}
    granted = [
        (
            [*nodes_of(model, grant["from"]), *_of_people(mesh, people_of(model["groups"], grant["from"]))],
            grant["ports"],
        )
        for grant in model["grants"]
        if names(model, grant["to"], node)
    ]
    admins = [*model["admins"]["nodes"], *_of_people(mesh, model["admins"]["people"])]
    served = {
        f"{'udp' if service['protocol'] == 'udp' else 'tcp'}:{port_range(each['port'], service['count'])}"
        for service in model["services"]
        for each in service["replicas"]
        if each["node"] == node
    }
    allowed = [(model["gateways"], sorted(served)), (admins, [f"tcp:{SSH_PORT}"]), *granted]
    everybody: Rule = {"from": list(mesh.pools), "ports": [f"tcp:{model['probe_port']}"]}
    return {
        "input": [everybody, *_together(node, allowed, networks)],
        "forward": _together(node, granted, networks) if mesh.nodes[node].routes else [],
    }


def node_names(model: Model) -> dict[str, list[str]]:
    """The addresses of all nodes by their names in the mesh, sorted."""
    mesh = of_plain(model["wireguard"])
    return {
        f"{name}.{model['domain']}" if name in mesh.clients else model["hosts"][name]["dns"]: list(node.addresses)
        for name, node in mesh.nodes.items()
    }


def _of_people(mesh: Mesh, people: Iterable[str]) -> list[str]:
    """The clients of those of them that are people; a person has no other machine in the mesh."""
    return [client for client, owner in mesh.clients.items() if owner and owner in set(people)]


def _together(
    node: str, allowed: Iterable[tuple[Iterable[str], Iterable[str]]], networks: dict[str, list[str]]
) -> list[Rule]:
    """One rule for all ports that the same nodes may reach."""
    ports: dict[str, set[str]] = {}
    for sources, each in allowed:
        for source in sources:
            if source != node:
                ports.setdefault(source, set()).update(each)
    together: dict[tuple[str, ...], list[str]] = {}
    for source in sorted(ports):
        if ports[source]:
            together.setdefault(tuple(sorted(ports[source])), []).extend(networks[source])
    return [{"from": together[key], "ports": list(key)} for key in sorted(together)]
