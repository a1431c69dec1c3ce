# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Addresses in the mesh. Once a node has one it keeps it: given ones come first, then those of the registry.

A new node's address follows from its name, so that two checkouts give the same host the same address, and different
hosts hardly ever the same.
"""

from __future__ import annotations

import functools
import hashlib
import socket
import typing as t

from netaddr import IPNetwork

from ansible_collections.wonder.mesh.plugins.plugin_utils._values import ip_address, is_network
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_types import ADDRESSES, POOLS

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems

FAMILIES = (socket.AF_INET, socket.AF_INET6)
BITS = (32, 128)
NEVER_GIVEN = 2  # the network's own address and the broadcast address
SMALLEST = 2  # hosts in a mesh


class Span(t.NamedTuple):
    """A network as numbers, which compare faster than networks: the first and the last of its addresses."""

    version: int
    first: int
    last: int

    def overlaps(self, other: Span) -> bool:
        return self.version == other.version and self.first <= other.last and other.first <= self.last


@functools.lru_cache(maxsize=4096)
def span(text: str) -> Span:
    """Of a network, or of an address alone."""
    network = IPNetwork(text)
    return Span(network.version, network.first, network.last)


# Of the addresses in these, none can be a host's that others reach.
SPECIAL = [
    span(net) for net in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/8", "fe80::/10", "ff00::/8")
]


def is_special(net: Span) -> bool:
    return any(net.overlaps(each) for each in SPECIAL)


def number(text: str, family: int) -> int | None:
    """The address as a number if it is one of the family (0 IPv4, 1 IPv6) in its usual form; else None."""
    try:
        packed = socket.inet_pton(FAMILIES[family], text)
        return int.from_bytes(packed) if socket.inet_ntop(FAMILIES[family], packed) == text else None
    except (OSError, ValueError):
        return None


class Pool:
    """The addresses of one family: who has which."""

    def __init__(self, family: int, network: str) -> None:
        self.variable, self.address_variable = list(POOLS)[family], ADDRESSES[family]
        self.family, self.network = family, network
        self.first, self.last = span(network).first + 1, span(network).last - 1
        self.owners: dict[int, str] = {}
        self.reserved: set[int] = set()

    def reserve(self, addresses: Iterable[str]) -> None:
        """Those of machines that are in the registry only: no new node gets them, but one may ask for them."""
        self.reserved |= {each for text in addresses if (each := number(text, self.family)) is not None}

    def has(self, address: str) -> bool:
        """Whether it is of this family."""
        return number(address, self.family) is not None

    def keep(self, name: str, address: str, variable: str, problems: Problems) -> str | None:
        """The address if the node may have it; variable: what says that it has."""
        value = number(address, self.family)
        if value is None or not self.first <= value <= self.last:
            if variable == self.address_variable:
                reason, fix = (
                    f"it is no address of {self.network} that a host can have",
                    f"Use one, or set {self.variable}",
                )
            else:
                reason = f"the registry has it for this host, but it is not in {self.network}"
                fix = f"Set {self.variable} as it was, or forget this host's addresses in the registry"
            problems.add(name, variable, address, reason, fix)
            return None
        owner = self.owners.setdefault(value, name)
        if owner != name:
            reason, fix = f"{owner} has it already", f"Give one of the two another {self.address_variable}"
            problems.add(name, self.address_variable, address, reason, fix)
            return None
        return address

    def give(self, name: str, problems: Problems) -> str | None:
        """A free address, as near as can be to the one that follows from the name."""
        size = self.last - self.first + 1
        start = int.from_bytes(hashlib.sha256(name.encode(errors="surrogatepass")).digest()) % size
        # Only what is taken can be in the way, so this many steps find one, however large the pool.
        for step in range(min(size, len(self.owners) + len(self.reserved) + 1)):
            value = self.first + (start + step) % size
            if value not in self.owners and value not in self.reserved:
                self.owners[value] = name
                return socket.inet_ntop(FAMILIES[self.family], value.to_bytes(BITS[self.family] // 8))
        reason = f"none of its {size} addresses is left for {name}"
        fix = "Use a larger network around it, which keeps all addresses, or forget in the registry who is gone"
        problems.add("all", self.variable, self.network, reason, fix)
        return None


def read_pools(inventory: Inventory, problems: Problems) -> list[Pool]:
    pools = []
    for family, (variable, default) in enumerate(POOLS.items()):
        value = inventory.everywhere(variable, problems)
        value = default if value is None else value
        if value == "":
            continue
        fix = f'Use a private network like {default}, or "" for none of this family'
        if not is_network(value) or span(value).version != (4, 6)[family]:
            problems.add(
                "all", variable, value, f"it is no IPv{(4, 6)[family]} network in the form address/length", fix
            )
        elif span(value).last - span(value).first < SMALLEST + NEVER_GIVEN - 1:
            problems.add("all", variable, value, "it has no room for two hosts", fix)
        elif is_special(span(value)):
            problems.add("all", variable, value, "some of its addresses have another meaning", fix)
        else:
            pools.append(Pool(family, value))
    if not pools and not problems.lines:
        reason = "without IPv4 and IPv6 nodes have no addresses"
        problems.add("all", next(iter(POOLS)), "", reason, "Set it, or wireguard_prefix_v6")
    return pools


def read_given(name: str, inventory: Inventory, pools: list[Pool], problems: Problems) -> dict[int, str]:
    """The addresses that the inventory gives the host, by family."""
    given = {}
    for family, variable in enumerate(ADDRESSES):
        value = inventory.get(name, variable, problems)
        if value is None:
            continue
        address = ip_address(value)
        if address is None or address.version != (4, 6)[family]:
            fix = "Write it like 10.77.0.5" if family == 0 else "Write it like fd77:6d65:7368::5"
            problems.add(name, variable, value, f"it is no IPv{(4, 6)[family]} address", f"{fix}, without a length")
        elif all(pool.family != family for pool in pools):
            reason = f"the mesh has no network of this family ({list(POOLS)[family]})"
            problems.add(name, variable, value, reason, "Remove it, or give the mesh one")
        else:
            packed = address.packed
            given[family] = socket.inet_ntop(FAMILIES[family], packed)
    return given
