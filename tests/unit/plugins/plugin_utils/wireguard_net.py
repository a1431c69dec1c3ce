# SPDX-License-Identifier: MIT

"""A naive model of WireGuard and of the networks below it, which knows tables and raw variables and none of our code.

It sends packets: through firewalls and routers by what the inventory says of them, and through interfaces by the rules
of WireGuard: the longest allowed IP chooses the peer, and a packet counts only if its source would be sent back there.
"""

from __future__ import annotations

import ipaddress
import itertools
import typing as t

Raw = dict[str, t.Any]
ALIVE = 180  # seconds after which a silent tunnel counts as gone


class Net:
    """hosts: the raw variables by name, tables: one by name; down: hosts that are switched off."""

    def __init__(self, hosts: dict[str, Raw], tables: dict[str, t.Any], down: t.Collection[str] = ()) -> None:
        self.hosts, self.tables, self.down = hosts, tables, down
        self.allowed = {name: self._allowed(table) for name, table in tables.items()}
        self._tunnels: dict[tuple[str, str], bool] = {}
        self._callable: dict[tuple[str, str], bool] = {}

    # The networks below

    def arrives(self, sender: str, host: str, port: int) -> str | None:
        """Which host gets a packet that the sender sends there, if any."""
        here = self.hosts[sender]
        for name, there in self.hosts.items():
            if name == sender:
                continue
            home = here.get("mesh_home") is not None and str(here["mesh_home"]) == str(there.get("mesh_home"))
            ports = [int(there.get("wireguard_port") or 51820), *map(int, there.get("wireguard_extra_ports") or ())]
            if home and same(host, lan_of(there)) and port == ports[0]:
                return name
            outbound = here.get("wireguard_outbound_ports")
            if outbound is None:
                outbound = [] if here.get("mesh_nat") == "udp-blocked" else None
            if outbound is not None and port not in [int(each) for each in outbound]:
                continue
            nat = there.get("mesh_nat") or ("public" if there.get("mesh_public_address") else "auto")
            forwarded = there.get("wireguard_endpoints")
            if home and nat != "public":
                continue  # no router leads a packet back in
            if forwarded is None and nat == "public" and same(host, there.get("mesh_public_address")) and port in ports:
                return name
            if nat not in ("cgnat", "udp-blocked") and any(leads(each, host, port) for each in forwarded or ()):
                return name
        return None

    # The tunnels

    def _allowed(self, table: t.Any) -> dict[t.Any, str]:
        """Network -> peer, with what hubs that are down had moved to the next one."""
        found: dict[t.Any, str] = {}
        moved = {net for each in table["relayed"] for net in each["networks"]}
        for peer in table["peers"]:
            for text in peer["allowed_ips"]:
                net = ipaddress.ip_network(text)
                assert net not in found, f"{table['name']} has {net} at two peers"
                if text not in moved:
                    found[net] = peer["name"]
        for each in table["relayed"]:
            at_first = next(peer for peer in table["peers"] if peer["name"] == each["hubs"][0])
            assert set(each["networks"]) <= set(at_first["allowed_ips"])
            for hub in each["hubs"]:
                if hub not in self.down:
                    found |= {ipaddress.ip_network(text): hub for text in each["networks"]}
                    break
        return found

    def peer_for(self, name: str, address: t.Any) -> str | None:
        fits = [net for net in self.allowed[name] if address in net]
        return self.allowed[name][max(fits, key=lambda net: net.prefixlen)] if fits else None

    def calls(self, one: str, other: str) -> bool:
        """Whether the one reaches the other at the endpoint in its table."""
        row = next((peer for peer in self.tables[one]["peers"] if peer["name"] == other), None)
        if row is None or row["endpoint"] is None:
            return False
        host, _, port = row["endpoint"].rpartition(":")
        found = self.arrives(one, host.strip("[]"), int(port))
        assert found == other, f"{one} calls {other} at {row['endpoint']} and gets {found}"
        return True

    def tunnel(self, one: str, other: str) -> bool:
        """Whether packets go both ways at any time, also after hours of silence."""
        if (one, other) not in self._tunnels:
            self._tunnels[one, other] = self._tunnel(one, other)
        return self._tunnels[one, other]

    def _tunnel(self, one: str, other: str) -> bool:
        if {one, other} & set(self.down):
            return False
        rows = [
            next((peer for peer in self.tables[a]["peers"] if peer["name"] == b), None)
            for a, b in ((one, other), (other, one))
        ]
        if None in rows:
            return False
        there, back = self.calls(one, other), self.calls(other, one)
        if there and back:
            return True
        keepalive = t.cast("t.Any", rows[0] if there else rows[1])["keepalive"]
        return (there or back) and 0 < keepalive < ALIVE

    def hops(self, source: str, target: str, address: str) -> int | None:
        """The number of tunnels from one host to an address of another; None if the packet is lost."""
        to = ipaddress.ip_address(address)
        own = [ipaddress.ip_interface(each).ip for each in self.tables[source]["addresses"]]
        sender = next(each for each in own if each.version == to.version)
        here = source
        for hop in range(1, 5):
            table = self.tables[here]
            if not any(to in ipaddress.ip_network(route) for route in table["routes"]):
                return None
            if here != source and not table["forward"]["mesh"]:
                return None
            peer = self.peer_for(here, to)
            if peer is None or not self.tunnel(here, peer) or self.peer_for(peer, sender) != here:
                return None
            here = peer
            if here == target:
                return hop
        return None

    def path(self, one: str, other: str) -> str:
        """direct or hub if packets get there and back, by each of the other's addresses; else none."""
        there = {self.hops(one, other, each) for each in addresses(self.tables[other])}
        back = {self.hops(other, one, each) for each in addresses(self.tables[one])}
        if None in there | back or there != back or len(there) != 1:
            return "none"
        return "direct" if there == {1} else "hub"

    # What could be at best

    def can_call(self, one: str, other: str) -> bool:
        if (one, other) not in self._callable:
            self._callable[one, other] = self._can_call(one, other)
        return self._callable[one, other]

    def _can_call(self, one: str, other: str) -> bool:
        there = self.hosts[other]
        port = int(there.get("wireguard_port") or 51820)
        places = [(lan_of(there), port)]
        address = there.get("mesh_public_address")
        places += [(address, each) for each in (port, *map(int, there.get("wireguard_extra_ports") or ()))]
        places += [split(each) for each in there.get("wireguard_endpoints") or ()]
        return any(host is not None and self.arrives(one, host, number) == other for host, number in places)

    def possible(self, topology: str, hubs: t.Sequence[str], one: str, other: str) -> str:
        """The path that the pair gets if anybody can give it one."""

        def touch(a: str, b: str) -> bool:
            return a != b and (self.can_call(a, b) or self.can_call(b, a)) and not {a, b} & set(self.down)

        if (topology != "hub" or one in hubs or other in hubs) and touch(one, other):
            return "direct"
        through = [hub for hub in hubs if touch(one, hub) and touch(other, hub)]
        return "hub" if topology != "full" and through else "none"

    def pairs(self) -> t.Iterator[tuple[str, str]]:
        return itertools.permutations([name for name in self.tables if name not in self.down], 2)


def addresses(table: t.Any) -> list[str]:
    return [each.partition("/")[0] for each in table["addresses"]]


def same(one: object, other: object) -> bool:
    """Two ways to write an address, or a name."""
    try:
        return ipaddress.ip_address(str(one)) == ipaddress.ip_address(str(other))
    except ValueError:
        return one is not None and str(one).lower() == str(other).lower()


def split(endpoint: str) -> tuple[str, int]:
    host, _, port = endpoint.rpartition(":")
    return host.strip("[]"), int(port)


def leads(endpoint: str, host: str, port: int) -> bool:
    return split(endpoint)[1] == port and same(split(endpoint)[0], host)


def lan_of(host: Raw) -> str | None:
    if host.get("wireguard_lan_address") is not None:
        return str(host["wireguard_lan_address"])
    try:
        address = ipaddress.ip_address(str(host.get("ansible_host")))
    except ValueError:
        return None
    return str(address) if address.is_private and not address.is_loopback and not address.is_link_local else None
