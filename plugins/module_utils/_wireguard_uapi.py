# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""An interface of wireguard-go, by the text protocol of its socket (https://www.wireguard.com/xplatform/)."""

from __future__ import annotations

import os
import socket
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_device import NO_KEY, Change, Device, Peer
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_key import WireGuardError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_device import Endpoint, PeerChange

PATIENCE = 20.0  # seconds; a thousand peers take some tens of milliseconds


class UserspaceDevice:
    """The interface behind one socket."""

    def __init__(self, path: str) -> None:
        self._path = path

    def get(self) -> Device:
        device: dict[str, str] = {}
        peers: list[tuple[dict[str, str], list[str]]] = []
        for key, value in self._ask("get=1\n\n"):
            if key == "public_key":
                peers.append(({key: value}, []))
            elif key == "allowed_ip":
                peers[-1][1].append(value)
            else:
                (peers[-1][0] if peers else device)[key] = value
        found = [_peer(values, networks) for values, networks in peers]
        return Device(
            private_key=bytes.fromhex(device.get("private_key", NO_KEY.hex())),
            port=int(device.get("listen_port", 0)),
            peers={peer.public_key: peer for peer in found},
        )

    def set(self, change: Change) -> None:
        lines = ["set=1"]
        if change.private_key is not None:
            lines.append(f"private_key={change.private_key.hex()}")
        if change.port is not None:
            lines.append(f"listen_port={change.port}")
        for peer in change.peers:
            lines += _peer_lines(peer)
        self._ask("\n".join([*lines, "", ""]))

    def _ask(self, request: str) -> list[tuple[str, str]]:
        try:
            with socket.socket(socket.AF_UNIX) as asking:
                asking.settimeout(PATIENCE)
                asking.connect(self._path)
                asking.sendall(request.encode())
                answer = b""
                while not answer.endswith(b"\n\n"):
                    chunk = asking.recv(1 << 16)
                    if not chunk:
                        break
                    answer += chunk
        except OSError as exc:
            raise WireGuardError(f"{self._path} does not answer: {exc.strerror or exc}") from None
        lines = [(key, value) for key, _, value in (line.partition("=") for line in answer.decode().split("\n")) if key]
        if not lines or lines[-1][0] != "errno":
            raise WireGuardError(f"{self._path} gave no whole answer; is it wireguard-go that listens there?")
        number = int(lines.pop()[1])
        if number:
            raise WireGuardError(f"wireguard-go refused what was asked of {self._path}: {os.strerror(abs(number))}")
        return lines


def _peer(values: dict[str, str], networks: list[str]) -> Peer:
    return Peer(
        public_key=bytes.fromhex(values["public_key"]),
        preshared_key=bytes.fromhex(values.get("preshared_key", NO_KEY.hex())),
        endpoint=_endpoint(values["endpoint"]) if "endpoint" in values else None,
        keepalive=int(values.get("persistent_keepalive_interval", 0)),
        allowed_ips=frozenset(networks),
        handshake=int(values.get("last_handshake_time_sec", 0)),
        received=int(values.get("rx_bytes", 0)),
        sent=int(values.get("tx_bytes", 0)),
    )


def _endpoint(text: str) -> Endpoint:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _peer_lines(peer: PeerChange) -> Iterator[str]:
    yield f"public_key={peer.public_key.hex()}"
    if peer.remove:
        yield "remove=true"
        return
    if not peer.new:
        yield "update_only=true"
    if peer.preshared_key is not None:
        yield f"preshared_key={peer.preshared_key.hex()}"
    if peer.endpoint is not None:
        host, port = peer.endpoint
        yield f"endpoint=[{host}]:{port}" if ":" in host else f"endpoint={host}:{port}"
    if peer.keepalive is not None:
        yield f"persistent_keepalive_interval={peer.keepalive}"
    if peer.replace:
        yield "replace_allowed_ips=true"
    for network in peer.allowed_ips:
        yield f"allowed_ip={network}"
