# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""The addresses of endpoints that are given by name. A home's address changes, and a resolver may be away."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_device import Endpoint

PATIENCE = 5.0  # seconds for all of them together


def split(text: str) -> tuple[str, int]:
    """HOST:PORT or [ADDRESS]:PORT."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def is_name(text: str) -> bool:
    """Whether the endpoint names a host, instead of giving its address."""
    try:
        ipaddress.ip_address(split(text)[0])
    except ValueError:
        return True
    return False


def resolve(texts: Iterable[str]) -> dict[str, Endpoint]:
    """The endpoints by their text, without those whose name nobody knows in time."""
    found: dict[str, Endpoint] = {}
    threads = []
    for text in sorted(texts):
        if not is_name(text):
            found[text] = split(text)
        else:
            # getaddrinfo knows no time limit of its own.
            threads.append(threading.Thread(target=_look_up, args=(text, found), daemon=True))
            threads[-1].start()
    deadline = time.monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return dict(found)


def _look_up(text: str, found: dict[str, Endpoint]) -> None:
    host, port = split(text)
    with contextlib.suppress(OSError, UnicodeError):
        # The system's order: IPv4 comes first where the host has no IPv6 address of its own.
        address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0][4][0]
        found[text] = str(address), port
