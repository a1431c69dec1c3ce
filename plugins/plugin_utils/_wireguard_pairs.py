# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The check that every two nodes of a WireGuard mesh have a way, direct or through a hub.

Nodes are judged by kind, not one by one, so thousands take no longer than a few.
"""

from __future__ import annotations

import dataclasses
import itertools
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_paths import hubs_of, path

if t.TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems
    from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_types import Mesh, Node


@dataclasses.dataclass
class Kind:
    """Nodes that are alike to all others, of other homes or of their own.

    examples: two, of different homes if they have any, so that one of them stands for the kind to whoever is elsewhere.
    """

    members: list[Node] = dataclasses.field(default_factory=list)
    examples: list[Node] = dataclasses.field(default_factory=list)
    fresh: bool = False  # examples have come since the last check

    def enter(self, node: Node, anywhere: bool) -> None:
        self.members.append(node)
        if not self.examples or (len(self.examples) == 1 and (not anywhere or _apart(self.examples[0], node))):
            self.examples.append(node)
            self.fresh = True


class Pairs:
    """Remembers what it has checked, so that one more node costs what one node costs."""

    def __init__(self) -> None:
        self._world: Hashable = None
        self._forget()

    def _forget(self) -> None:
        self._entered: set[str] = set()
        self._far: dict[Hashable, Kind] = {}
        self._near: dict[str, dict[Hashable, Kind]] = {}
        self._fresh_homes: set[str] = set()

    def check(self, mesh: Mesh, problems: Problems) -> None:
        """Only what has not been checked before is reported."""
        outbounds = tuple({node.outbound: None for node in mesh.nodes.values()})
        world = outbounds, [hub for hub in mesh.hubs if hub in mesh.nodes]
        if world != self._world:  # it is part of what makes a kind
            self._world = world
            self._forget()
        for name, node in mesh.nodes.items():
            if name not in self._entered:
                self._entered.add(name)
                self._enter(mesh, node, outbounds)
        silent = _check(mesh, list(self._far.values()), True, problems)
        for home in sorted(self._fresh_homes):
            silent |= _check(mesh, list(self._near[home].values()), False, problems)
        self._fresh_homes.clear()
        for name in sorted(silent):
            _report_silent(silent[name], problems)

    def _enter(self, mesh: Mesh, node: Node, outbounds: tuple[tuple[int, ...] | None, ...]) -> None:
        ports = {port for _, port in node.endpoints}
        callers = tuple(bool(ports) if each is None else not ports.isdisjoint(each) for each in outbounds)
        key = node.outbound, callers, node.name in mesh.hubs, hubs_of(mesh, node)
        self._far.setdefault(key, Kind()).enter(node, True)
        if node.home is not None:
            self._fresh_homes.add(node.home)
            kinds = self._near.setdefault(node.home, {})
            kinds.setdefault((key, node.public, node.lan is not None), Kind()).enter(node, False)


def _check(mesh: Mesh, kinds: list[Kind], apart: bool, problems: Problems) -> dict[str, Node]:
    """Reports the pairs that have no way, and returns by name the nodes that have none because their home is silent."""
    silent: dict[str, Node] = {}
    for one, other in itertools.combinations_with_replacement(kinds, 2):
        if not (one.fresh or other.fresh):
            continue
        pair = _failing(mesh, itertools.product(one.examples, other.examples), apart)
        if pair is not None:
            found = [node for kind in (one, other) for node in kind.members if node.outbound == ()]
            silent |= {node.name: node for node in found}
            if not found:
                _report(mesh, *pair, problems)
    for kind in kinds:
        kind.fresh = False
    return silent


def _failing(mesh: Mesh, pairs: Iterable[tuple[Node, Node]], apart: bool) -> tuple[Node, Node] | None:
    for one, other in pairs:
        if one.name != other.name and _apart(one, other) is apart and not _talk(mesh, one, other):
            return one, other
    return None


def _talk(mesh: Mesh, one: Node, other: Node) -> bool:
    return path(mesh, one, other, hubs_of(mesh, one), hubs_of(mesh, other)) != "none"


def _apart(one: Node, other: Node) -> bool:
    return one.home is None or one.home != other.home


def _report(mesh: Mesh, one: Node, other: Node, problems: Problems) -> None:
    if mesh.topology == "full":
        reason = f"it and {other.name} cannot call each other, and a full mesh has no other way"
        fix = "Set wireguard_endpoints of one of the two, or use auto with a hub"
        problems.add(one.name, "wireguard_topology", "full", reason, fix)
        return
    reason = f"it and {other.name} have no hub that both reach"
    if mesh.topology == "auto":
        reason = f"it and {other.name} cannot call each other, and have no hub that both reach"
    fix = "Name one in wireguard_hubs that both reach, or set wireguard_endpoints of one of the two"
    problems.add(one.name, "wireguard_hubs", list(mesh.hubs), reason, fix)


def _report_silent(node: Node, problems: Problems) -> None:
    reason = f"its home{'' if node.home is None else f' {node.home}'} lets no UDP out, so WireGuard cannot leave it"
    fix = "Name UDP ports that the firewall lets out in wireguard_outbound_ports, like [123], and for a hub in "
    problems.add(
        node.name, "mesh_nat", "udp-blocked", reason, f"{fix}wireguard_extra_ports; or use the Headscale backend"
    )
