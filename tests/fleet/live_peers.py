# SPDX-License-Identifier: MIT
"""What a WireGuard interface itself says of its peers, on a host of a fleet, whose agent is asked."""

from __future__ import annotations

import json
import typing as t

SHOW = """
import json, sys
sys.path.insert(0, "/usr/local/lib/wonder-mesh/wireguard-wm0.pyz")
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_live import backend
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_place import Place
device = backend(Place("wm0")).get()
print(json.dumps({key.hex(): [peer.handshake, peer.received, peer.sent] for key, peer in device.peers.items()}))
"""

Peers = dict[str, list[int]]  # of each public key: when the last handshake was, bytes in, bytes out


def python(script: str, *arguments: str) -> str:
    """The command that runs a script of Python."""
    return f"python3 - {' '.join(arguments)} <<'THE_END'\n{script}\nTHE_END\n"


def read_peers(said: str) -> Peers:
    """What SHOW said."""
    return t.cast("Peers", json.loads(said))


def begun_anew(before: Peers, after: Peers) -> list[str]:
    """The peers whose sessions were lost between the two: gone, or with counters that started at nothing again."""
    return [
        key
        for key, was in before.items()
        if key not in after or any(now < then for then, now in zip(was, after[key], strict=True))
    ]
