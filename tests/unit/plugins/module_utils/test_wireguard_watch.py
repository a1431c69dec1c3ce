# SPDX-License-Identifier: MIT
"""The watch over an interface, on real sockets of the loopback device, with interfaces in memory and hurried clocks."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import threading
import time
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils import (
    _wireguard_hubs,
    _wireguard_names,
    _wireguard_place,
    _wireguard_watch,
)
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_device import Change, Device
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_key import decode
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_place import Place
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_wanted import Wanted
from tests.unit.plugins.module_utils.test_wireguard_device import carried_out
from tests.unit.plugins.modules.wireguard_host import key, peer, table

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POOL = "127.77.0.0/16"
ADDRESSES = {"hub-1": "127.77.0.1", "hub-2": "127.77.0.2", "attic": "127.77.0.8", "barn": "127.77.0.9"}
PATIENCE = 20.0  # seconds; it takes tenths of one


class Interface:
    """One interface in memory, and the watch over it in a thread of its own."""

    def __init__(self, name: str, wanted: dict[str, t.Any]) -> None:
        self.place = Place(name)
        self.wanted = Wanted(wanted)
        secrets = {each["name"]: key("psk") for each in wanted["peers"]}
        self.device = self.wanted.device(bytes([7]) * 32, secrets, {}, {})
        self.changes: list[Change] = []
        self._over = threading.Event()
        os.makedirs(self.place.directory, exist_ok=True)
        os.makedirs(self.place.runtime, exist_ok=True)
        _write(self.place, self.wanted)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def get(self) -> Device:
        return self.device

    def set(self, change: Change) -> None:
        self.changes.append(change)
        self.device = carried_out(self.device, change)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def owner(self, network: str) -> str:
        names = self.wanted.names_of_peers()
        return next((names[each] for each, peer in self.device.peers.items() if network in peer.allowed_ips), "")

    def _run(self) -> None:
        watch = _wireguard_watch.Watch(self.place, lambda: self)
        try:
            while not self._over.is_set():
                watch.step(time.monotonic())
        finally:
            watch.close()


def _write(place: Place, wanted: Wanted) -> None:
    with open(place.wanted, "w", encoding="utf-8") as stream:
        stream.write(wanted.dumps())


def row(name: str, *networks: str) -> dict[str, t.Any]:
    return peer(name, 1, allowed_ips=[f"{ADDRESSES[name]}/32", *networks], endpoint=None)


def node(name: str, *hubs: str) -> Interface:
    rows = [row(hub, *([POOL] if hub == hubs[0] else [])) for hub in hubs]
    probed = [{"name": hub, "address": ADDRESSES[hub]} for hub in hubs]
    relayed = [{"networks": [POOL], "hubs": list(hubs)}]
    own = {"addresses": [f"{ADDRESSES[name]}/32"], "hubs": probed, "relayed": relayed}
    return Interface(name, table(*rows, **own))


def hub(name: str) -> Interface:
    rows = [row(other) for other in ADDRESSES if other != name]
    return Interface(name, table(*rows, addresses=[f"{ADDRESSES[name]}/32"], forward={"mesh": True, "networks": []}))


def until(what: t.Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[t.Callable[..., None]]:
    """Call ``running(*interfaces)``: their watches run until the test ends."""
    monkeypatch.setattr(_wireguard_place, "ETC", str(tmp_path / "etc"))
    monkeypatch.setattr(_wireguard_place, "RUN", str(tmp_path / "run"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setattr(_wireguard_watch, "PROBE_PORT", free.getsockname()[1])
    for module in (_wireguard_hubs, _wireguard_watch):
        monkeypatch.setattr(module, "EVERY", 0.2)
    monkeypatch.setattr(_wireguard_hubs, "HURRIED", 0.05)
    monkeypatch.setattr(_wireguard_hubs, "REMEMBERED", 0.6)
    started: list[Interface] = []

    def run(*interfaces: Interface) -> None:
        for each in interfaces:
            each.start()
            started.append(each)

    yield run
    for each in started:
        each.stop()


def test_what_lies_behind_a_silent_hub_goes_to_the_next_and_comes_back(running: t.Callable[..., None]) -> None:
    attic, one, two = node("attic", "hub-1", "hub-2"), hub("hub-1"), hub("hub-2")
    running(attic, two)
    assert attic.owner(POOL) == "hub-1"
    assert until(lambda: attic.owner(POOL) == "hub-2")
    running(one)
    assert until(lambda: attic.owner(POOL) == "hub-1")


def test_no_peer_but_the_hubs_is_touched(running: t.Callable[..., None]) -> None:
    attic, two = node("attic", "hub-1", "hub-2"), hub("hub-2")
    running(attic, two)
    assert until(lambda: attic.owner(POOL) == "hub-2")
    touched = {each.public_key for change in attic.changes for each in change.peers}
    assert touched <= {decode(key("hub-1")), decode(key("hub-2"))}
    assert all(each.private_key is None and each.port is None for each in attic.changes)


def test_a_hub_that_is_silent_for_one_side_only_is_left_by_both(running: t.Callable[..., None]) -> None:
    attic, barn = node("attic", "hub-1", "hub-2"), node("barn", "hub-1", "hub-2")
    one, two = hub("hub-1"), hub("hub-2")
    # To the first hub, the barn is a stranger, whom it does not answer.
    one.wanted = Wanted({**one.wanted.table, "peers": [row("attic"), row("hub-2")]})
    _write(one.place, one.wanted)
    running(attic, barn, one, two)
    barns = f"{ADDRESSES['barn']}/32"
    assert until(lambda: barn.owner(POOL) == "hub-2" and attic.owner(barns) == "hub-2")
    assert attic.owner(POOL) == "hub-1"


def test_what_is_no_answer_is_no_pulse(running: t.Callable[..., None]) -> None:
    attic = node("attic", "hub-1", "hub-2")
    running(attic, hub("hub-2"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as liar:
        liar.bind((ADDRESSES["hub-1"], _wireguard_watch.PROBE_PORT))
        liar.settimeout(0.02)
        moved = False
        deadline = time.monotonic() + PATIENCE
        while not moved and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                content, sender = liar.recvfrom(2000)
                asked = json.loads(content)["probe"]
                for lie in (
                    b"",
                    b"{",
                    b"[]",
                    b"\xff",
                    b'{"answer": %d}' % asked,
                    b'{"answer": %d, "page": "x"}' % asked,
                ):
                    liar.sendto(lie, sender)
            moved = attic.owner(POOL) == "hub-2"
    assert moved


def test_a_name_is_asked_again_when_its_peer_is_silent(
    running: t.Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, **_: t.Any) -> list[t.Any]:
        asked.append(host)
        return [(0, 0, 0, "", ("192.0.2.9", port))]

    monkeypatch.setattr(_wireguard_names.socket, "getaddrinfo", getaddrinfo)
    rows = [
        peer("hub-1", 1, endpoint="home.example.net:51820"),
        peer("hub-2", 2, endpoint="other.example.net:51820"),
        peer("barn", 3, endpoint="192.0.2.77:51820"),
    ]
    attic = Interface("attic", table(*rows, addresses=[f"{ADDRESSES['attic']}/32"]))
    old = {each: dataclasses.replace(found, endpoint=("192.0.2.1", 1)) for each, found in attic.device.peers.items()}
    fresh = decode(key("hub-2"))
    old[fresh] = dataclasses.replace(old[fresh], handshake=int(time.time()))
    attic.device = Device(attic.device.private_key, attic.device.port, old)
    running(attic)
    assert until(lambda: attic.device.peers[decode(key("hub-1"))].endpoint == ("192.0.2.9", 51820))
    assert set(asked) == {"home.example.net"}
    others = [found.endpoint for each, found in attic.device.peers.items() if each != decode(key("hub-1"))]
    assert others == [("192.0.2.1", 1)] * 2


def test_a_new_table_is_read_without_a_restart(running: t.Callable[..., None]) -> None:
    attic = node("attic", "hub-1", "hub-2")
    running(attic)
    assert until(lambda: attic.place.recall("hubs").get("silent") == ["hub-1", "hub-2"])
    attic.wanted = node("attic", "hub-2").wanted
    assert until(lambda: attic.place.recall("hubs").get("silent") == ["hub-2"])
