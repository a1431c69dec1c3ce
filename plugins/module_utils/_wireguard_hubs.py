# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""Which hub carries what lies behind hubs, while some of them are silent. Decisions only; they need no network.

Two nodes must use the same hub for each other: what comes from another one is dropped. Each hub answers its probes, so
each node knows which hubs are silent for itself. With every probe it says so, and the hubs that hear it pass it on. So
both sides of a pair know both views, and take the first of their common hubs that is silent for neither of them, also
when the way to a hub is broken for one of the two only.
"""

from __future__ import annotations

import ipaddress
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Reports = dict[str, list[str]]

MISSES = 4  # probes in a row without an answer make a hub silent
ANSWERS = 3  # in a row make it one again
EVERY = 5.0  # seconds between two probes
HURRIED = 1.0  # seconds, while it is in doubt
REMEMBERED = 3 * EVERY  # seconds that a hub passes on what a node has said
LONGEST = 1200  # bytes of a datagram, with room in the least MTU


class Pulse:
    """Whether one hub answers. ``silent`` changes only when several probes in a row say so."""

    def __init__(self) -> None:
        self.silent = False
        self._streak = 0  # of probes that contradict ``silent``

    def count(self, answered: bool) -> None:
        self._streak = self._streak + 1 if answered == self.silent else 0
        if self._streak >= (ANSWERS if self.silent else MISSES):
            self.silent, self._streak = not self.silent, 0

    @property
    def pause(self) -> float:
        """Seconds until the next probe."""
        return HURRIED if self._streak else EVERY


def choose(hubs: Sequence[str], silent: Iterable[str]) -> str:
    """The first that is not silent; the first of all if there is none."""
    return next((hub for hub in hubs if hub not in set(silent)), hubs[0])


def moved_networks(table: Mapping[str, t.Any], state: Mapping[str, t.Any]) -> dict[str, str]:
    """The hub by network, for those that do not belong to the hub that the table has them at.

    state: {"silent": hubs that are so for this node, "reports": {network: hubs that are so for the node it is of}}
    """
    silent, reports = set(state.get("silent") or []), state.get("reports") or {}
    found: dict[str, str] = {}
    relayed: dict[str, list[str]] = {net: group["hubs"] for group in table["relayed"] for net in group["networks"]}
    for net, hubs in relayed.items():
        if (hub := choose(hubs, silent)) != hubs[0]:
            found[net] = hub
    direct = {net for peer in table["peers"] for net in peer["allowed_ips"]} - relayed.keys()
    for net, theirs in reports.items():
        around = _around(net, relayed)
        if around is None or net in direct:
            continue
        hubs = relayed[around]
        hub = choose(hubs, silent | set(theirs))
        if hub not in theirs and hub != found.get(around, hubs[0]):
            found[net] = hub
    return found


def _around(net: str, relayed: Mapping[str, t.Any]) -> str | None:
    """The smallest of the networks that hold this one."""
    inner = ipaddress.ip_network(net)
    found = [outer for outer in map(ipaddress.ip_network, relayed) if _holds(outer, inner)]
    return str(max(found, key=lambda each: each.prefixlen)) if found else None


def _holds(outer: t.Any, inner: t.Any) -> bool:
    return bool(outer.version == inner.version and inner.subnet_of(outer))


class Board:
    """At a hub: which hubs are silent for whom, as they said themselves."""

    def __init__(self, table: Mapping[str, t.Any]) -> None:
        self._owners = {
            str(ipaddress.ip_network(net).network_address): peer["name"]
            for peer in table["peers"] for net in peer["allowed_ips"] if net.endswith(("/32", "/128"))
        }  # fmt: skip
        relayed = {net for group in table["relayed"] for net in group["networks"]}
        self._networks = {
            peer["name"]: [net for net in peer["allowed_ips"] if net not in relayed] for peer in table["peers"]
        }
        self._said: dict[str, tuple[float, list[str]]] = {}

    def hear(self, address: str, silent: object, now: float) -> str | None:
        """What a node says of itself, by its address, which WireGuard vouches for. Its name; None for a stranger."""
        name = self._owners.get(address)
        if name is not None and isinstance(silent, list) and all(isinstance(each, str) for each in silent):
            self._said[name] = now, sorted(silent)
        return name

    def reports(self, name: str, now: float) -> Reports:
        """What the others have said lately and this node does not say itself."""
        own = set(self._said.get(name, (now, []))[1])
        return {
            net: silent
            for other, (when, silent) in sorted(self._said.items())
            if other != name and now - when < REMEMBERED and not own.issuperset(silent)
            for net in self._networks[other]
        }


def pages(reports: Reports) -> list[Reports]:
    """The reports in parts that fit into one datagram each; one empty part for none."""
    found: list[Reports] = [{}]
    size = 0
    for net, silent in reports.items():
        added = len(net) + sum(len(each) + 4 for each in silent) + 8
        if size + added > LONGEST - 100 and found[-1]:
            found.append({})
            size = 0
        found[-1][net] = silent
        size += added
    return found
