# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""What a WireGuard interface holds, and the least that makes one state of it another.

A peer that is not named in a change keeps its session and its counters, so nothing is named that need not be.
"""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Mapping

Endpoint = tuple[str, int]  # an address, no name
NO_KEY = bytes(32)


@dataclasses.dataclass(frozen=True)
class Peer:
    """One peer. handshake: when the last one was, in seconds since the epoch, 0 for never; received, sent: bytes."""

    public_key: bytes
    preshared_key: bytes = dataclasses.field(default=NO_KEY, repr=False)
    endpoint: Endpoint | None = None
    keepalive: int = 0
    allowed_ips: frozenset[str] = frozenset()
    handshake: int = 0
    received: int = 0
    sent: int = 0


@dataclasses.dataclass(frozen=True)
class Device:
    """The interface: private_key is clamped, NO_KEY if it has none; peers are by their public keys."""

    private_key: bytes = dataclasses.field(default=NO_KEY, repr=False)
    port: int = 0
    peers: Mapping[bytes, Peer] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class PeerChange:
    """What is set of one peer; None leaves as it is. ``replace`` takes away the allowed IPs that are not given."""

    public_key: bytes
    remove: bool = False
    new: bool = False
    preshared_key: bytes | None = dataclasses.field(default=None, repr=False)
    endpoint: Endpoint | None = None
    keepalive: int | None = None
    replace: bool = False
    allowed_ips: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Change:
    """What is set of an interface; None leaves as it is."""

    private_key: bytes | None = dataclasses.field(default=None, repr=False)
    port: int | None = None
    peers: tuple[PeerChange, ...] = ()

    @property
    def empty(self) -> bool:
        return self.private_key is None and self.port is None and not self.peers


class Backend(t.Protocol):
    """Where an interface lives: the kernel, or a process of wireguard-go."""

    def get(self) -> Device: ...

    def set(self, change: Change) -> None: ...


def change(live: Device, wanted: Device, call: t.Container[bytes] = ()) -> Change:
    """From the one to the other. Endpoints are left to roam, but for peers in ``call`` and those that have none."""
    removed = [PeerChange(key, remove=True) for key in live.peers if key not in wanted.peers]
    # Whoever is given an allowed IP has it, and nobody else: what moves needs no taking away.
    given = {
        net
        for key, peer in wanted.peers.items()
        for net in (peer.allowed_ips - live.peers[key].allowed_ips if key in live.peers else peer.allowed_ips)
    }
    changes = [
        each
        for key, peer in wanted.peers.items()
        for each in [_peer_change(live.peers.get(key), peer, given, key in call)]
        if each is not None
    ]
    return Change(
        private_key=None if live.private_key == wanted.private_key else wanted.private_key,
        port=None if live.port == wanted.port else wanted.port,
        peers=tuple(removed + sorted(changes, key=lambda each: each.replace)),
    )


def new_peer(wanted: Peer) -> PeerChange:
    """Everything of a peer that the interface does not have."""
    return PeerChange(
        wanted.public_key,
        new=True,
        preshared_key=wanted.preshared_key,
        endpoint=wanted.endpoint,
        keepalive=wanted.keepalive,
        replace=True,
        allowed_ips=tuple(sorted(wanted.allowed_ips)),
    )


def _peer_change(live: Peer | None, wanted: Peer, given: set[str], call: bool) -> PeerChange | None:
    if live is None:
        return new_peer(wanted)
    left = live.allowed_ips - (given - wanted.allowed_ips)
    replace = not left <= wanted.allowed_ips
    found = PeerChange(
        wanted.public_key,
        preshared_key=None if live.preshared_key == wanted.preshared_key else wanted.preshared_key,
        endpoint=wanted.endpoint if live.endpoint is None or (call and live.endpoint != wanted.endpoint) else None,
        keepalive=None if live.keepalive == wanted.keepalive else wanted.keepalive,
        replace=replace,
        allowed_ips=tuple(sorted(wanted.allowed_ips if replace else wanted.allowed_ips - left)),
    )
    return None if found == PeerChange(wanted.public_key) else found
