# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""The first seconds with a new private key: sessions begin now, and not when there is something to say.

WireGuard repeats a call that was not answered after five seconds. A peer that took over its new keys a moment later
than this host would be silent for that long, so it is made anew, which lets it be called at once.
"""

from __future__ import annotations

import contextlib
import socket
import time
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_device import Change, PeerChange, new_peer
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_key import decode

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_device import Backend

DISCARD = 9  # the port of nobody
AGAIN = 0.7  # seconds
LONGEST = 6.0  # seconds; who is silent then is away


def insist(backend: Backend, table: Mapping[str, t.Any], since: float) -> None:
    """Call all that can be called until each has a session newer than this instant, or seems to be away."""
    addresses = {
        decode(each["public_key"]): each["allowed_ips"][0].partition("/")[0]
        for each in table["peers"] if each["endpoint"] and each["allowed_ips"]
    }  # fmt: skip
    deadline = time.monotonic() + LONGEST
    _poke(addresses.values())
    while time.monotonic() < deadline:
        time.sleep(AGAIN)
        live = backend.get().peers
        late = [key for key in addresses if key in live and live[key].handshake < int(since)]
        if not late:
            return
        backend.set(
            Change(peers=tuple(part for key in late for part in (PeerChange(key, remove=True), new_peer(live[key]))))
        )
        _poke(addresses[key] for key in late)


def _poke(addresses: Iterable[str]) -> None:
    """Send something to each, so that it is called."""
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sending:
            sending.setblocking(False)
            sending.sendto(b"", (address, DISCARD))
