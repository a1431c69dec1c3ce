# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""An interface of the kernel's WireGuard, by generic netlink (linux/wireguard.h, linux/genetlink.h)."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import socket
import struct
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_device import NO_KEY, Change, Device, Peer
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_key import WireGuardError

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_device import Endpoint, PeerChange

    Attribute = tuple[int, bytes]

GENERIC = 16  # NETLINK_GENERIC, and the family that knows the others
GET_FAMILY, FAMILY_ID, FAMILY_NAME = 3, 1, 2
REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
ERROR, DONE = 2, 3
GET_DEVICE, SET_DEVICE = 0, 1
IFNAME, PRIVATE_KEY, LISTEN_PORT, PEERS = 2, 3, 6, 8  # of a device
PUBLIC_KEY, PRESHARED_KEY, FLAGS, ENDPOINT, KEEPALIVE, HANDSHAKE, RECEIVED, SENT, ALLOWED_IPS = range(
    1, 10
)  # of a peer
FAMILY, ADDRESS, MASK = 1, 2, 3  # of an allowed IP
REMOVE, REPLACE, UPDATE_ONLY = 1, 2, 4
NESTED = 0x8000
LARGEST = 1 << 14  # bytes of the attributes in one message; a nest has at most 1 << 16
MOST = 256  # allowed IPs in one piece of a peer
PATIENCE = 20.0  # seconds


class KernelDevice:
    """The interface of this name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def get(self) -> Device:
        with _Asking() as asking:
            answers = list(asking.ask(GET_DEVICE, DUMP, [self._named()]))
        values: dict[int, bytes] = {}
        peers: dict[bytes, Peer] = {}
        for attributes in answers:
            for kind, value in attributes:
                if kind != PEERS:
                    values[kind] = value
                    continue
                for _index, inner in _parse(value):
                    peer = _peer(dict(_parse(inner)))
                    before = peers.get(peer.public_key)
                    # A peer with many allowed IPs comes in several pieces.
                    more = peer.allowed_ips | (before.allowed_ips if before else frozenset())
                    peers[peer.public_key] = dataclasses.replace(before or peer, allowed_ips=more)
        port = struct.unpack("=H", values.get(LISTEN_PORT, b"\0\0"))[0]
        return Device(values.get(PRIVATE_KEY, NO_KEY), port, peers)

    def set(self, change: Change) -> None:
        first = [self._named()]
        if change.private_key is not None:
            first.append((PRIVATE_KEY, change.private_key))
        if change.port is not None:
            first.append((LISTEN_PORT, struct.pack("=H", change.port)))
        with _Asking() as asking:
            for pieces in _batches([piece for peer in change.peers for piece in _pieces(peer)]):
                nest = _pack((index | NESTED, piece) for index, piece in enumerate(pieces))
                list(asking.ask(SET_DEVICE, ACK, [*first, *([(PEERS | NESTED, nest)] if pieces else [])]))
                first = [self._named()]

    def _named(self) -> Attribute:
        return IFNAME, self._name.encode() + b"\0"


class _Asking:
    """A socket, and what the kernel calls WireGuard's family."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, GENERIC)
        self._socket.settimeout(PATIENCE)
        self._number = 0

    def __enter__(self) -> _Asking:
        try:
            self._family = GENERIC
            (answer,) = self.ask(GET_FAMILY, 0, [(FAMILY_NAME, b"wireguard\0")])
            self._family = struct.unpack("=H", dict(answer)[FAMILY_ID])[0]
        except BaseException:
            self._socket.close()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self._socket.close()

    def ask(self, command: int, flags: int, attributes: Iterable[Attribute]) -> Iterator[list[Attribute]]:
        """The attributes of each message of the answer."""
        self._number += 1
        body = struct.pack("=BBH", command, 1, 0) + _pack(attributes)
        header = struct.pack("=LHHLL", 16 + len(body), self._family, REQUEST | flags, self._number, 0)
        try:
            self._socket.send(header + body)
            while True:
                for kind, content in self._messages():
                    if kind == ERROR:
                        number = -struct.unpack("=l", content[:4])[0]
                        if number:
                            raise WireGuardError(f"the kernel's WireGuard refused: {os.strerror(number)}")
                        return
                    if kind == DONE:
                        return
                    yield list(_parse(content[4:]))
                    if not flags:
                        return
        except OSError as exc:
            raise WireGuardError(f"the kernel's WireGuard does not answer: {exc.strerror or exc}") from None

    def _messages(self) -> list[tuple[int, bytes]]:
        data, found = self._socket.recv(1 << 18), []
        while len(data) >= 16:
            length, kind, _flags, number, _port = struct.unpack("=LHHLL", data[:16])
            if number == self._number:
                found.append((kind, data[16:length]))
            data = data[_aligned(length) :]
        return found


def _pieces(peer: PeerChange) -> Iterator[bytes]:
    """A change of a peer, in pieces that are small enough for one message."""
    flags = (REMOVE if peer.remove else 0) | (REPLACE if peer.replace else 0) | (0 if peer.new else UPDATE_ONLY)
    values: list[Attribute] = [(PUBLIC_KEY, peer.public_key), (FLAGS, struct.pack("=L", flags))]
    if peer.preshared_key is not None:
        values.append((PRESHARED_KEY, peer.preshared_key))
    if peer.endpoint is not None:
        values.append((ENDPOINT, _sockaddr(peer.endpoint)))
    if peer.keepalive is not None:
        values.append((KEEPALIVE, struct.pack("=H", peer.keepalive)))
    for start in range(0, max(1, len(peer.allowed_ips)), MOST):
        networks = [_allowed_ip(each) for each in peer.allowed_ips[start : start + MOST]]
        nest = _pack((index | NESTED, each) for index, each in enumerate(networks))
        yield _pack([*values, *([(ALLOWED_IPS | NESTED, nest)] if networks else [])])
        values = [(PUBLIC_KEY, peer.public_key), (FLAGS, struct.pack("=L", UPDATE_ONLY))]


def _batches(pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
    """At least one, since the interface itself may change, too."""
    batch: list[bytes] = []
    for piece in pieces:
        if batch and sum(map(len, batch)) + len(piece) > LARGEST:
            yield batch
            batch = []
        batch.append(piece)
    yield batch


def _allowed_ip(text: str) -> bytes:
    network = ipaddress.ip_network(text)
    family = socket.AF_INET if network.version == 4 else socket.AF_INET6
    packed = network.network_address.packed
    return _pack([(FAMILY, struct.pack("=H", family)), (ADDRESS, packed), (MASK, bytes([network.prefixlen]))])


def _peer(values: dict[int, bytes]) -> Peer:
    allowed = [dict(_parse(inner)) for _index, inner in _parse(values.get(ALLOWED_IPS, b""))]
    return Peer(
        public_key=values[PUBLIC_KEY],
        preshared_key=values.get(PRESHARED_KEY, NO_KEY),
        endpoint=_endpoint(values.get(ENDPOINT, b"")),
        keepalive=struct.unpack("=H", values.get(KEEPALIVE, b"\0\0"))[0],
        allowed_ips=frozenset(f"{ipaddress.ip_address(each[ADDRESS])}/{each[MASK][0]}" for each in allowed),
        handshake=struct.unpack("=q", values.get(HANDSHAKE, bytes(8))[:8])[0],
        received=struct.unpack("=Q", values.get(RECEIVED, bytes(8)))[0],
        sent=struct.unpack("=Q", values.get(SENT, bytes(8)))[0],
    )


def _sockaddr(endpoint: Endpoint) -> bytes:
    host, _, scope = endpoint[0].partition("%")
    address = ipaddress.ip_address(host)
    port = struct.pack("!H", endpoint[1])
    if address.version == 4:
        return struct.pack("=H", socket.AF_INET) + port + address.packed + bytes(8)
    number = socket.if_nametoindex(scope) if scope else 0
    return struct.pack("=H", socket.AF_INET6) + port + bytes(4) + address.packed + struct.pack("=L", number)


def _endpoint(data: bytes) -> Endpoint | None:
    if len(data) < 16:
        return None
    family, port = struct.unpack("=H", data[:2])[0], struct.unpack("!H", data[2:4])[0]
    packed = data[4:8] if family == socket.AF_INET else data[8:24]
    return str(ipaddress.ip_address(packed)), port


def _pack(attributes: Iterable[Attribute]) -> bytes:
    return b"".join(
        struct.pack("=HH", 4 + len(value), kind) + value + bytes(_aligned(len(value)) - len(value))
        for kind, value in attributes
    )


def _parse(data: bytes) -> Iterator[Attribute]:
    while len(data) >= 4:
        length, kind = struct.unpack("=HH", data[:4])
        if length < 4:
            return
        yield kind & 0x3FFF, data[4:length]
        data = data[_aligned(length) :]


def _aligned(length: int) -> int:
    return length + 3 & ~3
