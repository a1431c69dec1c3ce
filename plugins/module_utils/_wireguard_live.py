# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""The interface as it runs: how it differs from what is wanted, and how it becomes that without losing a session."""

from __future__ import annotations

import hashlib
import os
import time
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_device import NO_KEY, change
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_firewall import Firewall, rules
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_hubs import moved_networks
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_key import WireGuardError, encode
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_links import (
    Links,
    accepting_routes,
    everywhere,
    forwarding,
    read_setting,
    wanted_link,
    write_setting,
)
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_names import is_name, resolve
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_netlink import KernelDevice
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_rotation import insist
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_uapi import UserspaceDevice
from ansible_collections.wonder.mesh.plugins.module_utils._x25519 import public_of

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_device import Backend, Device
    from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_links import Link
    from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_place import Place
    from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_run import Run
    from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_wanted import Wanted

    Lines = dict[str, str]

LONGEST_WAIT = 30.0  # seconds; systemd waits 90


class Live:
    """One interface on this host."""

    def __init__(self, place: Place, run: Run) -> None:
        self._place = place
        self._links = Links(place.name, run)
        self._firewall = Firewall(place.name, run)

    @property
    def backend(self) -> Backend:
        return backend(self._place)

    def differences(self, wanted: Wanted, private: bytes, preshared: Mapping[str, str]) -> tuple[str, str]:
        """What runs and what is wanted, as text, but for what is the same; both are empty if nothing differs."""
        link = self._links.look()
        if link is None:
            return "(no interface)\n", "(the interface)\n"
        before, after = self._lines(link, wanted, private, preshared)
        different = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
        return tuple("".join(f"{key}: {side[key]}\n" for key in different if key in side) for side in (before, after))  # type: ignore[return-value]

    def apply(self, wanted: Wanted, private: bytes, preshared: Mapping[str, str]) -> None:
        """Make it what is wanted. What is so already is not touched."""
        link = self._links.look()
        if link is None:
            raise WireGuardError(f"there is no interface {self._place.name}")
        self._set_firewall(wanted)
        rotated = self._set_device(wanted, private, preshared)
        self._links.set(link, wanted_link(wanted))
        self._set_forwarding(wanted)
        if rotated is not None:
            insist(self.backend, wanted.table, rotated)

    def remove(self) -> None:
        """Take away what does not go with the interface itself."""
        self._firewall.remove()
        for path, value in self._place.recall("settings").items():
            if read_setting(path) not in ("", value):
                write_setting(path, value)

    def _set_device(self, wanted: Wanted, private: bytes, preshared: Mapping[str, str]) -> float | None:
        """When another private key took the place of one; None if none did."""
        live, endpoints = self.backend.get(), self._place.recall("endpoints")
        given = {each["public_key"]: each["endpoint"] for each in wanted.table["peers"] if each["endpoint"]}
        known = {encode(key) for key, peer in live.peers.items() if peer.endpoint is not None}
        ask = {text for key, text in given.items() if key not in known or endpoints.get(key) != text}
        resolved = resolve(ask)
        device = wanted.device(private, preshared, resolved, self._moved(wanted))
        call = {key for key, peer in device.peers.items() if peer.endpoint is not None}
        todo = change(live, device, call)
        # All nodes that get new keys do so at once.
        time.sleep(min(max(0.0, self._place.recall("at").get("at", 0) - time.time()), LONGEST_WAIT))
        began = time.time()
        if not todo.empty:
            self.backend.set(todo)
        self._place.note("endpoints", {key: text for key, text in given.items() if text not in ask or text in resolved})
        return began if live.private_key != NO_KEY and todo.private_key is not None else None

    def _set_firewall(self, wanted: Wanted) -> None:
        text = rules(self._place.name, wanted)
        listed, noted = self._firewall.listed(), self._place.recall("firewall")
        if noted != {"wanted": _digest(text), "listed": _digest(listed)}:
            self._firewall.set(text)
            self._place.note("firewall", {"wanted": _digest(text), "listed": _digest(self._firewall.listed())})

    def _set_forwarding(self, wanted: Wanted) -> None:
        """As the wanted state needs it, and what it no longer needs as it was before."""
        settings = forwarding(self._place.name, wanted, self._links)
        wished = {**accepting_routes(settings), **settings}
        before = {**{path: read_setting(path) for path in wished}, **self._place.recall("settings")}
        self._place.note("settings", before)
        # As long as a host forwards IPv6 everywhere, it takes routes only where it was told to.
        kept = {path for path in before if path in wished or (path.endswith("accept_ra") and everywhere() in settings)}
        for path, value in {**wished, **{path: before[path] for path in before.keys() - kept}}.items():
            if read_setting(path) not in ("", value):
                write_setting(path, value)
        self._place.note("settings", {path: value for path, value in before.items() if path in kept})

    def _moved(self, wanted: Wanted) -> dict[str, str]:
        return moved_networks(wanted.table, self._place.recall("hubs"))

    def _lines(self, link: Link, wanted: Wanted, private: bytes, preshared: Mapping[str, str]) -> tuple[Lines, Lines]:
        """Both sides, each part by its name."""
        ideal = wanted_link(wanted)
        live = self.backend.get()
        device = wanted.device(private, preshared, {}, self._moved(wanted))
        before, after = {}, {}
        before["public key"], after["public key"] = (encode(public_of(each.private_key)) for each in (live, device))
        before["port"], after["port"] = str(live.port), str(device.port)
        before["mtu"], after["mtu"] = str(link.mtu), str(ideal.mtu)
        before["up"], after["up"] = ("yes" if each.up else "no" for each in (link, ideal))
        before["addresses"], after["addresses"] = (" ".join(sorted(each.addresses)) for each in (link, ideal))
        before["routes"], after["routes"] = (" ".join(sorted(each.routes)) for each in (link, ideal))
        settings = forwarding(self._place.name, wanted, self._links)
        before |= {path: read_setting(path) for path in settings}
        after |= settings
        text, noted = rules(self._place.name, wanted), self._place.recall("firewall")
        is_right = noted == {"wanted": _digest(text), "listed": _digest(self._firewall.listed())}
        before["firewall"], after["firewall"] = "as wanted" if is_right else "other rules", "as wanted"
        before.update(_peer_lines(live, device, wanted))
        after.update(_peer_lines(device, device, wanted))
        return before, after


def _peer_lines(device: Device, wanted: Device, of: Wanted) -> Iterator[tuple[str, str]]:
    names = of.names_of_peers()
    # That of a name may be unknown for as long as nobody answers for names.
    called = {each["public_key"] for each in of.table["peers"] if each["endpoint"] and not is_name(each["endpoint"])}
    for key, peer in device.peers.items():
        ideal = wanted.peers.get(key)
        words = [" ".join(sorted(peer.allowed_ips))]
        if peer.keepalive:
            words.append(f"keepalive {peer.keepalive}")
        if ideal is not None and peer.preshared_key != ideal.preshared_key:
            words.append("another pre-shared key")
        if device is not wanted and encode(key) in called and peer.endpoint is None:
            words.append("no endpoint")
        yield f"peer {names.get(key) or encode(key)}", ", ".join(words)


def backend(place: Place) -> Backend:
    """The interface's WireGuard part, in a process or in the kernel."""
    return UserspaceDevice(place.socket) if os.path.exists(place.socket) else KernelDevice(place.name)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
