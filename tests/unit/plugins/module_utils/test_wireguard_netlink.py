# SPDX-License-Identifier: MIT
"""The kernel's WireGuard by generic netlink, with a kernel in its place that keeps to linux/wireguard.h."""

from __future__ import annotations

import dataclasses
import errno
import struct
import typing as t

import pytest
from hypothesis import given, settings

from ansible_collections.wonder.mesh.plugins.module_utils import _wireguard_netlink as netlink
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_device import (
    NO_KEY,
    Change,
    Device,
    Peer,
    PeerChange,
    change,
)
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_key import WireGuardError
from tests.unit.plugins.module_utils.test_wireguard_device import compared, devices

FAMILY = 31
MOST = 1 << 16  # bytes of a nest
SPLIT = 3  # allowed IPs in one part of a dump


def attributes(data: bytes) -> list[tuple[int, bytes]]:
    """Read by the book, not by what is tested: lengths count their header, and what follows is aligned to four."""
    found = []
    while data:
        length, kind = struct.unpack_from("=HH", data)
        assert 4 <= length <= len(data)
        found.append((kind & 0x7FFF, data[4:length]))
        data = data[(length + 3) // 4 * 4 :]
    return found


def attribute(kind: int, value: bytes, nested: bool = False) -> bytes:
    padding = bytes(-len(value) % 4)
    assert len(value) + 4 < MOST
    return struct.pack("=HH", len(value) + 4, kind | (0x8000 if nested else 0)) + value + padding


class Kernel:
    """Stands for a netlink socket and the interface wm0 behind it."""

    def __init__(self, device: Device | None = None) -> None:
        self.device = device or Device()
        self.refuses = 0
        self.flags: list[tuple[bytes, int]] = []  # of the peers that it was told of
        self._answers: list[bytes] = []

    def settimeout(self, _seconds: float) -> None:
        pass

    def close(self) -> None:
        pass

    def recv(self, _size: int) -> bytes:
        return self._answers.pop(0)

    def send(self, message: bytes) -> None:
        length, family, flags, number, _port = struct.unpack_from("=LHHLL", message)
        assert (length, flags & 1) == (len(message), 1)
        command, version, _reserved = struct.unpack_from("=BBH", message, 16)
        given = attributes(message[20:])
        if family == 16:
            assert (command, given) == (3, [(2, b"wireguard\0")])
            self._answers = [self._message(16, number, bytes(4) + attribute(1, struct.pack("=H", FAMILY)))]
            return
        assert (family, version, given[0]) == (FAMILY, 1, (2, b"wm0\0"))
        if command == 1:
            assert flags & 4
            self._set(given)
            self._answers = [self._message(2, number, struct.pack("=l", -self.refuses) + bytes(16))]
        else:
            assert flags & 0x300 == 0x300
            parts = [bytes(4) + each for each in self._dump()]
            self._answers = [
                *(self._message(FAMILY, number, each) for each in parts),
                self._message(3, number, bytes(4)),
            ]

    def _message(self, kind: int, number: int, body: bytes) -> bytes:
        return struct.pack("=LHHLL", 16 + len(body), kind, 0, number, 0) + body

    def _set(self, given: list[tuple[int, bytes]]) -> None:
        peers = dict(self.device.peers)
        values = dict(given)
        for _index, nest in attributes(values.get(8, b"")):
            each = dict(attributes(nest))
            key, flags = each[1], struct.unpack("=L", each[3])[0]
            self.flags.append((key, flags))
            if flags & 1:
                peers.pop(key, None)
                continue
            if key not in peers and flags & 4:
                continue
            found = peers.get(key, Peer(key))
            new = {self._network(dict(attributes(inner))) for _index, inner in attributes(each.get(9, b""))}
            for other, peer in peers.items():
                peers[other] = dataclasses.replace(peer, allowed_ips=peer.allowed_ips - new)
            kept = frozenset() if flags & 2 else peers.get(key, found).allowed_ips
            peers[key] = dataclasses.replace(
                found,
                preshared_key=each.get(2, found.preshared_key),
                endpoint=self._endpoint(each[4]) if 4 in each else found.endpoint,
                keepalive=struct.unpack("=H", each[5])[0] if 5 in each else found.keepalive,
                allowed_ips=kept | new,
            )
        port = struct.unpack("=H", values[6])[0] if 6 in values else self.device.port
        self.device = Device(values.get(3, self.device.private_key), port, peers)

    def _network(self, each: dict[int, bytes]) -> str:
        if struct.unpack("=H", each[1])[0] == 2:
            return f"{'.'.join(map(str, each[2]))}/{each[3][0]}"
        assert len(each[2]) == 16
        return f"fd77::{each[2][15]:x}/{each[3][0]}"

    def _endpoint(self, data: bytes) -> tuple[str, int]:
        port = int.from_bytes(data[2:4], "big")
        if struct.unpack("=H", data[:2])[0] == 2:
            assert len(data) == 16
            return ".".join(map(str, data[4:8])), port
        assert len(data) == 28
        return f"2001:db8::{data[23]:x}", port

    def _dump(self) -> t.Iterator[bytes]:
        """One message for the interface, and for each part of a peer one more."""
        own = attribute(6, struct.pack("=H", self.device.port))
        yield own + (attribute(3, self.device.private_key) if self.device.private_key != NO_KEY else b"")
        for peer in self.device.peers.values():
            networks = sorted(peer.allowed_ips)
            for start in range(0, max(1, len(networks)), SPLIT):
                nest = b"".join(attribute(0, self._packed(net), True) for net in networks[start : start + SPLIT])
                inner = attribute(1, peer.public_key)
                if start == 0:
                    inner += attribute(2, peer.preshared_key) + attribute(5, struct.pack("=H", peer.keepalive))
                    inner += attribute(6, struct.pack("=qq", peer.handshake, 7))
                    inner += attribute(7, struct.pack("=Q", peer.received)) + attribute(8, struct.pack("=Q", peer.sent))
                    if peer.endpoint is not None:
                        inner += attribute(4, self._sockaddr(peer.endpoint))
                yield attribute(8, attribute(0, inner + attribute(9, nest, True), True), True)

    def _packed(self, network: str) -> bytes:
        address, _, length = network.partition("/")
        if ":" in address:
            packed, family = bytes.fromhex("fd77") + bytes(13) + bytes([int(address.rpartition(":")[2], 16)]), 10
        else:
            packed, family = bytes(map(int, address.split("."))), 2
        return attribute(1, struct.pack("=H", family)) + attribute(2, packed) + attribute(3, bytes([int(length)]))

    def _sockaddr(self, endpoint: tuple[str, int]) -> bytes:
        host, port = endpoint
        if ":" in host:
            address = bytes.fromhex("20010db8") + bytes(11) + bytes([int(host.rpartition(":")[2], 16)])
            return struct.pack("=H", 10) + port.to_bytes(2, "big") + bytes(4) + address + bytes(4)
        return struct.pack("=H", 2) + port.to_bytes(2, "big") + bytes(map(int, host.split("."))) + bytes(8)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(netlink.socket, "socket", lambda *_: kernel)
    return kernel


def test_a_device_is_read_whole(kernel: Kernel) -> None:
    networks = frozenset({*(f"10.77.0.{number}/32" for number in range(10)), "fd77::7/128"})
    one = Peer(bytes([1]) * 32, bytes([2]) * 32, ("192.0.2.1", 51820), 25, networks, 1700000000, 22, 11)
    other = Peer(bytes([3]) * 32, NO_KEY, ("2001:db8::9", 4242))
    kernel.device = Device(bytes([4]) * 32, 51821, {one.public_key: one, other.public_key: other})
    assert netlink.KernelDevice("wm0").get() == kernel.device


@settings(max_examples=2 * settings().max_examples)
@given(devices(), devices())
def test_a_change_makes_any_state_any_other(live: Device, wanted: Device) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        kernel = Kernel(live)
        monkeypatch.setattr(netlink.socket, "socket", lambda *_: kernel)
        device = netlink.KernelDevice("wm0")
        device.set(change(device.get(), wanted))
        assert compared(device.get()) == compared(wanted)


def test_a_thousand_peers_and_a_peer_with_thousands_of_networks_arrive(kernel: Kernel) -> None:
    keys = [number.to_bytes(4, "big") + bytes(28) for number in range(1, 1001)]
    networks = [f"10.{a}.{b}.0/24" for a in range(12) for b in range(256)]
    peers = {key: Peer(key, keepalive=25) for key in keys}
    peers[keys[0]] = Peer(keys[0], allowed_ips=frozenset(networks))
    device = netlink.KernelDevice("wm0")
    device.set(change(device.get(), Device(NO_KEY, 1, peers)))
    assert compared(kernel.device) == compared(Device(NO_KEY, 1, peers))


def test_a_peer_that_is_gone_is_not_made_again_by_a_change(kernel: Kernel) -> None:
    key = bytes([1]) * 32
    netlink.KernelDevice("wm0").set(Change(peers=(PeerChange(key, keepalive=1),)))
    assert (kernel.device.peers, kernel.flags) == ({}, [(key, 4)])


def test_what_the_kernel_refuses_is_said(kernel: Kernel) -> None:
    kernel.refuses = errno.EADDRINUSE
    with pytest.raises(WireGuardError, match="Address already in use"):
        netlink.KernelDevice("wm0").set(Change(port=1))
