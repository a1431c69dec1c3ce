# SPDX-License-Identifier: MIT
"""The first seconds with a new private key."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils import _wireguard_rotation
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_device import Change, Device, Peer
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_key import decode
from tests.unit.plugins.module_utils.test_wireguard_device import carried_out
from tests.unit.plugins.modules.wireguard_host import key, peer

SWITCH = 1000.5


class Mesh:
    """An interface whose peers answer a call from so many seconds after the switch on; time passes by sleeping."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ready: dict[str, float], endpoint: bool = True) -> None:
        self.now = SWITCH
        self.ready = {decode(key(name)): seconds for name, seconds in ready.items()}
        self.names = {decode(key(name)): name for name in ready}
        rows = [peer(name, number, endpoint="x:1" if endpoint else None) for number, name in enumerate(ready, 1)]
        self.table = {"peers": rows}
        self.addresses = {each["allowed_ips"][0].partition("/")[0]: decode(each["public_key"]) for each in rows}
        whole = {decode(each["public_key"]): frozenset(each["allowed_ips"]) for each in rows}
        self.device = Device(
            peers={each: Peer(each, bytes(32), ("192.0.2.1", 1), 25, nets) for each, nets in whole.items()}
        )
        self.before, self.called = self.device, dict.fromkeys(whole, False)
        self.changes: list[Change] = []
        monkeypatch.setattr(_wireguard_rotation.time, "sleep", self._sleep)
        monkeypatch.setattr(_wireguard_rotation.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(_wireguard_rotation, "_poke", self._poke)

    def get(self) -> Device:
        return self.device

    def set(self, change: Change) -> None:
        self.changes.append(change)
        self.device = carried_out(self.device, change)
        for each in change.peers:
            self.called[each.public_key] = False

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def _poke(self, addresses: t.Iterable[str]) -> None:
        for each in (self.addresses[address] for address in addresses):
            if self.called[each]:
                continue  # WireGuard waits for five seconds
            self.called[each] = True
            if self.now - SWITCH >= self.ready[each]:
                found = dataclasses.replace(self.device.peers[each], handshake=int(self.now))
                self.device = dataclasses.replace(self.device, peers={**self.device.peers, each: found})

    def sessions(self) -> set[str]:
        return {self.names[each] for each, found in self.device.peers.items() if found.handshake}


def test_peers_that_are_ready_are_called_once_and_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = Mesh(monkeypatch, {"hub-1": 0, "hub-2": 0})
    _wireguard_rotation.insist(mesh, mesh.table, SWITCH)
    assert (mesh.sessions(), mesh.changes, mesh.now - SWITCH < 1) == ({"hub-1", "hub-2"}, [], True)


def test_a_peer_that_is_late_is_called_again_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = Mesh(monkeypatch, {"hub-1": 0, "hub-2": 2.0})
    _wireguard_rotation.insist(mesh, mesh.table, SWITCH)
    assert mesh.sessions() == {"hub-1", "hub-2"}
    assert mesh.now - SWITCH < 2.0 + 2 * 0.7 + 0.1
    assert {each.public_key for change in mesh.changes for each in change.peers} == {decode(key("hub-2"))}


def test_a_peer_that_was_made_anew_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = Mesh(monkeypatch, {"hub-2": 2.0})
    _wireguard_rotation.insist(mesh, mesh.table, SWITCH)
    after = {each: dataclasses.replace(found, handshake=0) for each, found in mesh.device.peers.items()}
    assert after == mesh.before.peers


def test_a_peer_that_is_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = Mesh(monkeypatch, {"hub-1": 1e9})
    _wireguard_rotation.insist(mesh, mesh.table, SWITCH)
    assert mesh.now - SWITCH < 8


def test_who_cannot_be_called_is_left_to_call(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = Mesh(monkeypatch, {"attic": 0}, endpoint=False)
    _wireguard_rotation.insist(mesh, mesh.table, SWITCH)
    assert (mesh.sessions(), mesh.changes) == (set(), [])
