# SPDX-License-Identifier: MIT
"""The fleet's internet: network namespaces, the links between them, routes, and the routers' rules.

One namespace is the internet's switch (`PREFIX.internet`), one each is a home's router (`PREFIX.HOME`) and a host
(`PREFIX-HOST`). Links are made inside the namespaces, so that the machine's own namespace never sees an interface, and
no name is longer than the kernel's 15 characters.
"""

from __future__ import annotations

import typing as t
from ipaddress import IPv4Network

from fleet import nat
from fleet.shell import run

if t.TYPE_CHECKING:
    from ipaddress import IPv4Address

    from fleet.topology import Home, Topology

CARRIER = IPv4Network("100.64.0.0/24")  # between a carrier's router and a home's; each home with one has its own


def host_namespace(prefix: str, host: str) -> str:
    """The namespace of a host."""
    return f"{prefix}-{host}"


def switch_namespace(prefix: str, name: str = "internet") -> str:
    """The namespace of a home's router, or of the internet itself."""
    return f"{prefix}.{name}"


def carrier_of(home: str) -> str:
    """The name of the router that a carrier has before a home's own; no home's name has a dot."""
    return f"{home}.carrier"


class Plan:
    """The `ip` commands that make a topology's network: first the links, then what is inside each namespace."""

    def __init__(self, prefix: str, topology: Topology) -> None:
        self.prefix, self.topology = prefix, topology
        self.links: list[str] = []
        self.inside: dict[str, list[str]] = {}
        self._ports = 0
        self._internet()
        for home in topology.homes:
            self._router(home)
        for host in topology.hosts:
            self._host(host.name, host.address, next((home for home in topology.homes if home.name == host.home), None))

    def namespaces(self) -> list[str]:
        """All namespaces that the network has."""
        return list(self.inside)

    def _internet(self) -> None:
        network = self.topology.internet
        self._switch(switch_namespace(self.prefix), "br0", network[1], network)
        # What is nowhere is refused at once, not waited for.
        self.inside[switch_namespace(self.prefix)].append("route add unreachable default")

    def _router(self, home: Home) -> None:
        name, internet = switch_namespace(self.prefix, home.name), self.topology.internet
        self._switch(name, "lan", home.router, home.network)
        if nat.KINDS[home.nat].carrier:
            above = switch_namespace(self.prefix, carrier_of(home.name))
            self._switch(above, "lan", CARRIER[1], CARRIER)
            self._plug(above, "wan", home.address, internet, switch_namespace(self.prefix), "br0")
            self._plug(name, "wan", CARRIER[2], CARRIER, above, "lan")
            return
        self._plug(name, "wan", home.address, internet, switch_namespace(self.prefix), "br0")

    def _host(self, name: str, address: IPv4Address, home: Home | None) -> None:
        namespace = host_namespace(self.prefix, name)
        self.inside[namespace] = ["link set lo up"]
        if home:
            self._plug(namespace, "eth0", address, home.network, switch_namespace(self.prefix, home.name), "lan")
        else:
            self._plug(namespace, "eth0", address, self.topology.internet, switch_namespace(self.prefix), "br0")

    def _switch(self, namespace: str, bridge: str, address: IPv4Address, network: IPv4Network) -> None:
        self.inside[namespace] = [
            "link set lo up",
            f"link add {bridge} type bridge",
            f"addr add {address}/{network.prefixlen} dev {bridge}",
            f"link set {bridge} up",
        ]

    def _plug(
        self, namespace: str, device: str, address: IPv4Address, network: IPv4Network, switch: str, bridge: str
    ) -> None:
        self._ports += 1
        port = f"p{self._ports}"
        self.links.append(f"link add {device} netns {namespace} type veth peer name {port} netns {switch}")
        self.inside[switch] += [f"link set {port} master {bridge}", f"link set {port} up"]
        self.inside[namespace] += [
            f"addr add {address}/{network.prefixlen} dev {device}",
            f"link set {device} up",
            f"route add default via {network[1]}",
        ]


def make(prefix: str, topology: Topology) -> None:
    """Make the whole network; none of its namespaces may exist."""
    plan = Plan(prefix, topology)
    _batch([], [f"netns add {namespace}" for namespace in plan.namespaces()])
    _batch([], plan.links)
    for namespace, commands in plan.inside.items():
        _batch(["-n", namespace], commands)
    forward = "echo 1 > /proc/sys/net/ipv4/ip_forward"
    run("ip", "netns", "exec", switch_namespace(prefix), "sh", "-c", forward)
    inside = f"{forward} && nft -f -"
    for home in topology.homes:
        routers = {home.name: nat.rules(home.nat, home.loss)}
        if carrier := nat.KINDS[home.nat].carrier:
            routers[carrier_of(home.name)] = nat.rules(carrier)
        for name, rules in routers.items():
            run("ip", "netns", "exec", switch_namespace(prefix, name), "sh", "-c", inside, stdin=rules)


def _batch(options: list[str], commands: list[str]) -> None:
    run("ip", *options, "-batch", "-", stdin="".join(f"{command}\n" for command in commands))
