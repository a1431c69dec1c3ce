# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The shapes of a WireGuard mesh: what is read from the inventory, and the peer table that a host gets."""

from __future__ import annotations

import dataclasses
import typing as t

Topology = t.Literal["auto", "full", "hub"]
TOPOLOGIES: tuple[str, ...] = t.get_args(Topology)
PORT = 51820
MTU = 1420  # of an underlay of 1500
KEEPALIVE = 25  # seconds; the shortest time that usual routers keep a UDP mapping is 30
POOLS = {"wireguard_prefix_v4": "10.77.0.0/16", "wireguard_prefix_v6": "fd77:6d65:7368::/64"}
ADDRESSES = ("wireguard_address_v4", "wireguard_address_v6")  # in the order of POOLS


@dataclasses.dataclass(frozen=True)
class Node:
    """One member, as others reach it and as it reaches them.

    endpoints: (host, port) at which the internet reaches it; none behind NAT. lan: its address for those of its home.
    outbound: the UDP ports that its home lets out, None for all. addresses: in the mesh, without length.
    """

    name: str
    addresses: tuple[str, ...]
    public: bool = False
    home: str | None = None
    endpoints: tuple[tuple[str, int], ...] = ()
    lan: str | None = None
    port: int = PORT
    extra_ports: tuple[int, ...] = ()
    outbound: tuple[int, ...] | None = None
    routes: tuple[str, ...] = ()
    mtu: int = MTU
    public_key: str | None = None


@dataclasses.dataclass(frozen=True)
class Mesh:
    """All of it, checked. pools: the networks of mesh addresses. hubs: in the order in which they stand in.

    clients: of the nodes those that Ansible does not manage, such as phones, each with the person whose it is, or "".
    """

    topology: str
    pools: tuple[str, ...]
    hubs: tuple[str, ...]
    preshared: bool
    nodes: dict[str, Node]  # sorted by name
    clients: dict[str, str] = dataclasses.field(default_factory=dict)


class Peer(t.TypedDict):
    """One peer of an interface. Who has no endpoint here calls us; keepalive 0 is none."""

    name: str
    public_key: str
    endpoint: str | None
    allowed_ips: list[str]
    keepalive: int
    preshared: bool


class Relayed(t.TypedDict):
    """Networks behind hubs: with all hubs up they are among the allowed IPs of the first, else of the next in order."""

    networks: list[str]
    hubs: list[str]


class Hub(t.TypedDict):
    """A hub and the address in the mesh at which it is probed."""

    name: str
    address: str


class Forward(t.TypedDict):
    """What the host must forward: between its peers, and to networks of its home."""

    mesh: bool
    networks: list[str]


class Table(t.TypedDict):
    """The whole wanted state of one interface, without secrets."""

    name: str
    public_key: str  # the node's own; empty as long as it has none
    addresses: list[str]
    mtu: int
    port: int
    extra_ports: list[int]
    peers: list[Peer]
    routes: list[str]
    hubs: list[Hub]
    relayed: list[Relayed]
    forward: Forward
