# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""The watch over an interface: it probes hubs through the tunnel, answers as a hub, and calls lost names anew.

Probes are JSON datagrams, {"probe": N, "silent": [hubs]}; a hub answers with {"answer": N, "page": I, "pages": M,
"reports": {network: [hubs]}}. They pass through the tunnel only, so each comes from whom its address says.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import socket
import time
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_device import Device, change
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_firewall import PROBE_PORT
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_hubs import (
    EVERY,
    Board,
    Pulse,
    moved_networks,
    pages,
)
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_key import WireGuardError, decode, encode
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_names import is_name, resolve
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_wanted import Wanted

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_device import Backend
    from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_place import Place

SILENT = 135  # seconds since the last handshake; a session that is used makes a new one after 120
RESOLVE_EVERY = 30.0  # seconds, of one name
LARGEST = 1 << 16


class Hub:
    """One hub that is probed: its pulse, the probe that is under way, and what it has told of others."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.pulse = Pulse()
        self.due = 0.0  # on the monotonic clock
        self.asked: int | None = None
        self.reports: dict[str, list[str]] = {}
        self.parts: dict[int, dict[str, list[str]]] = {}


class Watch:
    """What is watched changes when the wanted state on disk does."""

    def __init__(self, place: Place, backend: Callable[[], Backend]) -> None:
        self._place = place
        self._backend = backend
        self._number = 0
        self._resolved: dict[str, float] = {}
        self._hubs: dict[str, Hub] = {}
        self._version: tuple[int, ...] = ()
        self._socket: socket.socket | None = None
        self._names_due = 0.0
        self._agent = _version(place.agent)

    def run(self) -> None:
        """Until the agent itself is replaced by another version, which systemd then starts."""
        while _version(self._place.agent) == self._agent:
            self.step(time.monotonic())

    def step(self, now: float) -> None:
        """What is due now, then what comes in until something else is due."""
        if _version(self._place.wanted) != self._version:
            self._read()
        for name, hub in self._hubs.items():
            if hub.due <= now:
                self._probe(name, hub, now)
        if self._names_due <= now:
            self._names_due = now + EVERY
            self._call_names(now)
        due = min([now + EVERY, self._names_due, *(hub.due for hub in self._hubs.values())])
        self._receive(due)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _read(self) -> None:
        """The wanted state anew; hubs that stay keep their pulse."""
        version = _version(self._place.wanted)
        self._wanted = wanted = Wanted.load(self._place)
        self._board = Board(wanted.table)
        self._hubs = {
            each["name"]: known if (known := self._hubs.get(each["name"])) and known.address == each["address"]
            else Hub(each["address"])
            for each in wanted.table["hubs"]
        }  # fmt: skip
        self.close()
        first = wanted.table["addresses"][0].partition("/")[0]
        listener = socket.socket(socket.AF_INET6 if ":" in first else socket.AF_INET, socket.SOCK_DGRAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            # As a node that is no hub, any port will do: the answer finds it.
            listener.bind((first, PROBE_PORT if wanted.probed_at else 0))
        except OSError as exc:
            listener.close()
            raise WireGuardError(f"cannot listen on {first} port {PROBE_PORT}: {exc.strerror}") from None
        self._socket, self._version = listener, version

    def _probe(self, name: str, hub: Hub, now: float) -> None:
        if hub.asked is not None:
            hub.pulse.count(answered=False)
            hub.reports = {}
            self._settle()
        self._number += 1
        hub.asked, hub.parts = self._number, {}
        hub.due = now + hub.pulse.pause
        self._send({"probe": self._number, "silent": self._silent()}, (hub.address, PROBE_PORT))

    def _silent(self) -> list[str]:
        return sorted(name for name, hub in self._hubs.items() if hub.pulse.silent)

    def _receive(self, until: float) -> None:
        listener = t.cast("socket.socket", self._socket)
        while (left := until - time.monotonic()) > 0 and select.select([listener], [], [], left)[0]:
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                content, sender = listener.recvfrom(LARGEST)
                said = json.loads(content)
                if isinstance(said, dict):
                    self._hear(said, sender[0], sender[1])

    def _hear(self, said: dict[str, t.Any], address: str, port: int) -> None:
        if isinstance(said.get("probe"), int) and self._wanted.probed_at is not None:
            self._answer(said, address, port)
            return
        for hub in self._hubs.values():
            if hub.address == address and hub.asked is not None and said.get("answer") == hub.asked:
                hub.parts[int(said["page"])] = _reports(said["reports"])
                if len(hub.parts) >= int(said["pages"]):
                    hub.asked = None
                    hub.pulse.count(answered=True)
                    hub.reports = {net: silent for part in hub.parts.values() for net, silent in part.items()}
                    self._settle()

    def _answer(self, said: dict[str, t.Any], address: str, port: int) -> None:
        now = time.monotonic()
        name = self._board.hear(address, said.get("silent"), now)
        if name is None:
            return
        parts = pages(self._board.reports(name, now))
        for number, part in enumerate(parts):
            answer = {"answer": said["probe"], "page": number, "pages": len(parts), "reports": part}
            self._send(answer, (address, port))

    def _send(self, what: dict[str, t.Any], where: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):  # no key yet, no endpoint yet: then nobody answers, which is what it means
            t.cast("socket.socket", self._socket).sendto(json.dumps(what).encode(), where)

    def _settle(self) -> None:
        """Let the hubs that answer carry what lies behind hubs."""
        reports: dict[str, set[str]] = {}
        for hub in self._hubs.values():
            for net, silent in hub.reports.items():
                reports.setdefault(net, set()).update(silent)
        state = {"silent": self._silent(), "reports": {net: sorted(each) for net, each in sorted(reports.items())}}
        before = self._place.recall("hubs") or {"silent": [], "reports": {}}
        if state == before:
            return
        with self._place.locked():
            self._place.note("hubs", state)
            self._move(moved_networks(self._wanted.table, state))
        if state["silent"] != before["silent"]:
            print(f"silent hubs: {', '.join(state['silent']) or 'none'}", flush=True)

    def _move(self, moved: dict[str, str]) -> None:
        live = self._backend().get()
        todo = change(live, self._as_live(live, moved))
        if not todo.empty:
            self._backend().set(todo)

    def _as_live(self, live: Device, moved: dict[str, str]) -> Device:
        """What runs, with allowed IPs as they are to be."""
        names = self._wanted.names_of_peers()
        nobody = dict.fromkeys(names.values(), encode(bytes(32)))
        wanted = self._wanted.device(live.private_key, nobody, {}, moved)
        peers = {
            key: dataclasses.replace(peer, allowed_ips=wanted.peers[key].allowed_ips) if key in wanted.peers else peer
            for key, peer in live.peers.items()
        }
        return Device(live.private_key, live.port, peers)

    def _call_names(self, now: float) -> None:
        """Ask again for the names of those that have been silent for a while, and call them where they are now."""
        named = {
            decode(each["public_key"]): each["endpoint"]
            for each in self._wanted.table["peers"] if each["endpoint"] and is_name(each["endpoint"])
        }  # fmt: skip
        due = {key: text for key, text in named.items() if now - self._resolved.get(text, -SILENT) >= RESOLVE_EVERY}
        if not due:
            return
        live, clock = self._backend().get(), time.time()
        silent = set(self._silent())
        names = self._wanted.names_of_peers()
        lost = {
            key: text
            for key, text in due.items()
            if key in live.peers and (clock - live.peers[key].handshake > SILENT or names[key] in silent)
        }
        if not lost:
            return
        found = resolve(lost.values())
        self._resolved.update(dict.fromkeys(lost.values(), now))
        with self._place.locked():
            live = self._backend().get()
            peers = {
                key: dataclasses.replace(peer, endpoint=found.get(lost.get(key, ""), peer.endpoint))
                for key, peer in live.peers.items()
            }
            todo = change(live, Device(live.private_key, live.port, peers), call=lost)
            if not todo.empty:
                self._backend().set(todo)


def _reports(said: object) -> dict[str, list[str]]:
    """As they came in; nobody outside the mesh can have sent them, but a hub of another version may have."""
    found = said if isinstance(said, dict) else {}
    return {str(net): [str(each) for each in silent] for net, silent in found.items() if isinstance(silent, list)}


def _version(path: str) -> tuple[int, ...]:
    """Names what lies there now: a file is always replaced by another one."""
    with contextlib.suppress(OSError):
        status = os.stat(path)
        return status.st_ino, status.st_mtime_ns
    return ()
