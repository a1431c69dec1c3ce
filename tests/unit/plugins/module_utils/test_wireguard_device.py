# SPDX-License-Identifier: MIT
"""The least that makes one state of an interface another."""

from __future__ import annotations

import dataclasses
import typing as t

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_device import (
    NO_KEY,
    Change,
    Device,
    Peer,
    PeerChange,
    change,
)

KEYS = [bytes([number]) * 32 for number in range(1, 7)]
NETWORKS = [f"10.0.0.{number}/32" for number in range(8)]


def carried_out(device: Device, todo: Change) -> Device:
    """What WireGuard makes of a change: an allowed IP has one owner, the last that was given it."""
    peers: dict[bytes, Peer] = dict(device.peers)
    for each in todo.peers:
        found = peers.pop(each.public_key, None)
        assert (found is None) == each.new, "update_only would have refused it, or a peer would be made anew"
        if each.remove:
            continue
        found = found or Peer(each.public_key)
        others = {
            key: dataclasses.replace(peer, allowed_ips=peer.allowed_ips - set(each.allowed_ips))
            for key, peer in peers.items()
        }
        kept = frozenset() if each.replace else found.allowed_ips
        peers = {
            **others,
            each.public_key: dataclasses.replace(
                found,
                preshared_key=found.preshared_key if each.preshared_key is None else each.preshared_key,
                endpoint=each.endpoint or found.endpoint,
                keepalive=found.keepalive if each.keepalive is None else each.keepalive,
                allowed_ips=kept | set(each.allowed_ips),
            ),
        }
    return Device(
        device.private_key if todo.private_key is None else todo.private_key,
        device.port if todo.port is None else todo.port,
        peers,
    )


@st.composite
def devices(draw: st.DrawFn, handshake: int = 0) -> Device:
    """Peers among a few keys; each network has one owner, or none."""
    keys = draw(st.lists(st.sampled_from(KEYS), unique=True))
    owners = draw(st.lists(st.sampled_from([*KEYS, None]), min_size=len(NETWORKS), max_size=len(NETWORKS)))
    peers = {
        key: Peer(
            key,
            draw(st.sampled_from([NO_KEY, KEYS[0], KEYS[1]])),
            draw(st.sampled_from([None, ("192.0.2.1", 1), ("2001:db8::1", 2)])),
            draw(st.sampled_from([0, 25])),
            frozenset(net for net, owner in zip(NETWORKS, owners, strict=True) if owner == key),
            handshake,
        )
        for key in keys
    }
    return Device(draw(st.sampled_from(KEYS)), draw(st.sampled_from([1, 2])), peers)


def compared(device: Device) -> dict[str, t.Any]:
    peers = {key: (peer.preshared_key, peer.keepalive, peer.allowed_ips) for key, peer in device.peers.items()}
    return {"key": device.private_key, "port": device.port, "peers": peers}


@given(devices(), devices())
def test_a_change_makes_any_state_any_other(live: Device, wanted: Device) -> None:
    assert compared(carried_out(live, change(live, wanted))) == compared(wanted)


@given(devices(), devices())
def test_a_second_change_is_empty(live: Device, wanted: Device) -> None:
    after = carried_out(live, change(live, wanted, wanted.peers))
    assert change(after, wanted).empty


@given(devices(), devices())
def test_no_peer_is_named_that_need_not_be(live: Device, wanted: Device) -> None:
    same = {
        key for key, peer in wanted.peers.items()
        if key in live.peers and dataclasses.replace(peer, endpoint=live.peers[key].endpoint) == live.peers[key]
        and live.peers[key].endpoint is not None
    }  # fmt: skip
    assert same.isdisjoint(each.public_key for each in change(live, wanted).peers)


@given(devices(), devices())
def test_a_peer_that_stays_is_never_taken_away(live: Device, wanted: Device) -> None:
    removed = {each.public_key for each in change(live, wanted).peers if each.remove}
    assert removed == live.peers.keys() - wanted.peers.keys()


def test_an_endpoint_that_roamed_is_left_alone() -> None:
    live = Device(peers={KEYS[0]: Peer(KEYS[0], endpoint=("198.51.100.1", 9))})
    wanted = Device(peers={KEYS[0]: Peer(KEYS[0], endpoint=("192.0.2.1", 1))})
    assert change(live, wanted).empty


def test_an_endpoint_is_called_when_that_is_asked() -> None:
    live = Device(peers={KEYS[0]: Peer(KEYS[0], endpoint=("198.51.100.1", 9))})
    wanted = Device(peers={KEYS[0]: Peer(KEYS[0], endpoint=("192.0.2.1", 1))})
    assert change(live, wanted, {KEYS[0]}).peers == (PeerChange(KEYS[0], endpoint=("192.0.2.1", 1)),)


def test_a_peer_without_an_endpoint_gets_the_one_that_is_wanted() -> None:
    live = Device(peers={KEYS[0]: Peer(KEYS[0])})
    wanted = Device(peers={KEYS[0]: Peer(KEYS[0], endpoint=("192.0.2.1", 1))})
    assert change(live, wanted).peers == (PeerChange(KEYS[0], endpoint=("192.0.2.1", 1)),)


def test_a_network_that_moves_costs_its_old_owner_nothing() -> None:
    one, other = (Peer(key, endpoint=("192.0.2.1", 1)) for key in KEYS[:2])
    live = Device(peers={one.public_key: dataclasses.replace(one, allowed_ips=frozenset(NETWORKS[:2]))})
    live = Device(peers={**live.peers, other.public_key: other})
    wanted = Device(
        peers={
            one.public_key: dataclasses.replace(one, allowed_ips=frozenset(NETWORKS[:1])),
            other.public_key: dataclasses.replace(other, allowed_ips=frozenset(NETWORKS[1:2])),
        }
    )
    assert change(live, wanted).peers == (PeerChange(other.public_key, allowed_ips=(NETWORKS[1],)),)


def test_no_secret_is_shown_by_a_device_or_a_change() -> None:
    secret = bytes([77]) * 32
    device = Device(secret, 1, {KEYS[0]: Peer(KEYS[0], preshared_key=secret)})
    assert repr(secret) not in repr(device) + repr(change(Device(), device))
