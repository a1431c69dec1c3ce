# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""How the NAT before a host maps it: where several STUN servers see one and the same socket."""

from __future__ import annotations

import os
import socket
import time
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils import _probe_stun as stun
from ansible_collections.wonder.mesh.plugins.module_utils._probe_dial import is_timeout
from ansible_collections.wonder.mesh.plugins.module_utils._probe_protocol import describe

Place = tuple[str, int]


def unasked(servers: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """One item per server ({"address", "port"}) before anything is known; ``seen`` is ``address port`` later."""
    return [{**server, "seen": "", "error": "it was not asked"} for server in servers]


def ask_all(servers: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """The module's ``mappings``, after at most three tries each, all at once; of IPv4, which is what NATs translate."""
    found = unasked(servers)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        waiting: dict[bytes, tuple[Place, dict[str, t.Any]]] = {}
        for item in found:
            try:
                resolved = socket.getaddrinfo(item["address"], item["port"], socket.AF_INET, socket.SOCK_DGRAM)
            except OSError as exc:
                item["error"] = f"{item['address']} does not resolve: {describe(exc)}"
            else:
                waiting[os.urandom(12)] = t.cast("Place", resolved[0][4]), item
        for seconds in stun.TRY_SECONDS:
            for transaction, (place, item) in waiting.items():
                item["error"] = _send(sock, transaction, place) or "no STUN answer"
            _collect(sock, waiting, time.monotonic() + seconds)
    return found


def _send(sock: socket.socket, transaction: bytes, place: Place) -> str:
    """What kept the request from being sent, or an empty text."""
    try:
        sock.sendto(stun.request(transaction), place)
    except OSError as exc:
        return describe(exc)
    return ""


def _collect(sock: socket.socket, waiting: dict[bytes, tuple[Place, dict[str, t.Any]]], until: float) -> None:
    """Note answers that come before ``until`` (monotonic seconds), and take what was answered out of ``waiting``."""
    while waiting and (left := until - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            packet, sender = sock.recvfrom(2048)
        except OSError as exc:
            if is_timeout(exc):
                return
            continue  # a router's answer to an earlier packet
        transaction = packet[8:20]
        place, item = waiting.get(transaction, (None, {}))
        if place != sender:
            continue
        try:
            item.update(seen=stun.parse(packet, transaction), error="")
        except stun.StunError as exc:
            item["error"] = str(exc)
        else:
            del waiting[transaction]
