# SPDX-License-Identifier: MIT
"""Homes of every kind of NAT without hosts, and sockets in their places: all in this process, and nothing is booted."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import threading
import typing as t

import yaml

from ansible_collections.wonder.mesh.plugins.module_utils import _probe_mapping
from fleet import nat, network, ready
from tests.unit.probe.stun_servers import response

if t.TYPE_CHECKING:
    from collections.abc import Iterator

Place = tuple[str, int]

KINDS = ("public", "easy", "hard", "full-cone", "cgnat", "udp-blocked")
LOSS = 30  # percent
TRIES = 1000  # packets, to measure a loss
BATCH = 50  # packets that a socket's buffer surely holds
WAIT = 0.1  # seconds for a packet between namespaces; most take less than one millisecond
ROUNDS = 3  # of packets from both sides
SERVERS = (("stun-1", "203.0.113.31", 3478), ("stun-1", "203.0.113.31", 3479), ("stun-2", "203.0.113.32", 3478))


def topology_text() -> str:
    """Two homes of each kind with a host each, and two addresses of the internet that say who asks."""
    public = {name: {"groups": ["strangers"], "address": address} for name, address, _port in SERVERS}
    public |= {f"public-{number}": {"groups": ["nodes"]} for number in (1, 2)}
    homes = {
        f"home-{kind}-{number}": {"nat": kind, "hosts": {f"{kind}-{number}": {"groups": ["nodes"]}}}
        for kind in nat.KINDS
        for number in (1, 2)
    }
    homes["home-full-cone-1"]["hosts"]["full-cone-too"] = {"groups": ["nodes"]}
    homes["home-lossy"] = {"nat": "easy", "loss": LOSS, "hosts": {"lossy": {"groups": ["nodes"]}}}
    return yaml.safe_dump({"domain": "wm.test", "public": public, "homes": homes}, sort_keys=False)


class World:
    """A network that `fleet.network.make` has made."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._ports = itertools.count(20000)  # each socket has a port of its own, as routers remember the last ones
        self._at = {(address, port): self._bind(host, port) for host, address, port in SERVERS}
        self.servers: list[Place] = list(self._at)

    def close(self) -> None:
        for each in self._at.values():
            each.close()

    @contextlib.contextmanager
    def bound(self, host: str, port: int = 0) -> Iterator[socket.socket]:
        """A socket of that host, at a port of its own if none is given."""
        with self._bind(host, port or next(self._ports)) as end:
            yield end

    def seen_by(self, server: Place, inside: socket.socket, hops: int = 64) -> Place | None:
        """Where a server sees this socket, if a packet that may take so many hops gets there."""
        inside.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
        inside.sendto(b"who", server)
        found = received(self._at[server])
        return found[0] if found else None

    def arrives(self, server: Place, place: Place, inside: socket.socket) -> bool:
        """Whether a packet from the server to that place comes to this socket."""
        self._at[server].sendto(b"knock", place)
        return bool(received(inside))

    def meet(self, one: str, other: str) -> str:
        """`direct` if two hosts come to hear each other, else `relay`."""
        with self.bound(one) as first, self.bound(other) as second:
            ends = (first, second)
            seen = [self.seen_by(self.servers[0], end) for end in ends]
            places: list[set[Place]] = [{place} if place else set() for place in reversed(seen)]
            heard = [False, False]
            for _ in range(ROUNDS):
                for end, where in zip(ends, places, strict=True):
                    for place in where:
                        end.sendto(b"hi", place)
                for number, end in enumerate(ends):
                    came = received(end)
                    places[number] |= set(came)
                    heard[number] = heard[number] or bool(came)
                if all(heard):
                    return "direct"
        return "relay"

    def mappings(self, host: str) -> list[str]:
        """What the probe measures there, while both addresses answer STUN."""
        over, found = threading.Event(), list[str]()
        servers = {place: self._at[place] for place in (self.servers[0], self.servers[2])}

        def serve() -> None:
            while not over.is_set():
                for end in select.select(list(servers.values()), [], [], WAIT)[0]:
                    packet, sender = end.recvfrom(2000)
                    end.sendto(response(packet[8:20], port=sender[1]), sender)

        def ask() -> None:
            ready.enter(network.host_namespace(self._prefix, host))
            asked = _probe_mapping.ask_all([{"address": address, "port": port} for address, port in servers])
            found.extend(each["seen"] for each in asked)

        serving, asking = threading.Thread(target=serve), threading.Thread(target=ask)
        serving.start()
        asking.start()
        asking.join()
        over.set()
        serving.join()
        return found

    def lost(self, host: str, *, inward: bool) -> float:
        """The share of packets that is lost on the way from that host to a server, or back."""
        server = self.servers[0]
        with self.bound(host) as inside:
            seen = None
            while seen is None:
                seen = self.seen_by(server, inside)
            source, target, place = (self._at[server], inside, seen) if inward else (inside, self._at[server], server)
            came = 0
            for _ in range(TRIES // BATCH):
                for _ in range(BATCH):
                    source.sendto(b"x", place)
                came += len(received(target))
        return 1 - came / TRIES

    def _bind(self, host: str, port: int) -> socket.socket:
        made: list[socket.socket] = []

        def work() -> None:  # in a thread of its own, since it moves to the host's namespace for good
            ready.enter(network.host_namespace(self._prefix, host))
            made.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        made[0].bind(("0.0.0.0", port))  # noqa: S104 (a namespace has but one address)
        made[0].setblocking(False)
        return made[0]


def received(end: socket.socket) -> list[Place]:
    """Who sent the packets that have come or come now."""
    found = []
    wait = WAIT
    while select.select([end], [], [], wait)[0]:
        with contextlib.suppress(ConnectionError):
            found.append(end.recvfrom(2000)[1])
        wait = 0
    return found
