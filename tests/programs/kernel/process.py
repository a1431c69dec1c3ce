# SPDX-License-Identifier: MIT
"""Runs in a network of its own: tells wireguard-go one random state after the other, and asks `wg` what it sees."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
import time
from pathlib import Path

from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_device import NO_KEY, Device, Peer, change
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_uapi import UserspaceDevice
from ansible_collections.wonder.mesh.plugins.module_utils._x25519 import new_private_key, public_of

NAME, CHANGES = "wgt0", 60
SOCKET = Path(f"/run/wireguard/{NAME}.sock")
NETWORKS = [*(f"10.0.0.{number}/32" for number in range(12)), *(f"fd77::{number:x}/128" for number in range(1, 8))]


def seen() -> tuple[object, ...]:
    """What `wg show dump` says: the interface, then its peers."""
    said = subprocess.run(["wg", "show", NAME, "dump"], capture_output=True, text=True, check=True, timeout=20).stdout
    (private, public, port, _mark), *peers = [line.split("\t") for line in said.splitlines()]
    rows = {
        key: (psk, set() if nets == "(none)" else set(nets.split(",")), 0 if keep == "off" else int(keep), where)
        for key, psk, where, nets, _shake, _in, _out, keep in peers
    }
    return private, public, int(port), rows


def expected(device: Device, endpoints: dict[bytes, str]) -> tuple[object, ...]:
    rows = {
        text(key): (
            "(none)" if peer.preshared_key == NO_KEY else text(peer.preshared_key),
            set(peer.allowed_ips),
            peer.keepalive,
            endpoints.get(key, "(none)"),
        )
        for key, peer in device.peers.items()
    }
    return text(device.private_key), text(public_of(device.private_key)), device.port, rows


def text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def main(program: str) -> None:
    subprocess.run("mount -t tmpfs none /run && ip link set lo up", shell=True, check=True)  # noqa: S602
    environment = {"WG_PROCESS_FOREGROUND": "1", "LOG_LEVEL": "silent", "PATH": "/usr/sbin:/usr/bin"}
    with subprocess.Popen([program, NAME], env=environment) as process:
        try:
            while not SOCKET.exists():
                time.sleep(0.05)
            print(json.dumps(differences()))
        finally:
            process.terminate()


def differences() -> list[str]:
    device, choose, found = UserspaceDevice(str(SOCKET)), random.Random(11), []  # noqa: S311
    keys, peers = [new_private_key() for _ in range(3)], [public_of(new_private_key()) for _ in range(8)]
    endpoints: dict[bytes, str] = {}
    for _ in range(CHANGES):
        owners = {net: choose.choice([*peers, None]) for net in NETWORKS}
        wanted = Device(
            choose.choice(keys),
            choose.choice([1000, 2000]),
            {
                key: Peer(
                    key,
                    choose.choice([NO_KEY, bytes([5]) * 32]),
                    choose.choice([None, ("127.0.0.1", 99), ("::1", 98)]),
                    choose.choice([0, 25]),
                    frozenset(net for net, owner in owners.items() if owner == key),
                )
                for key in choose.sample(peers, choose.randrange(len(peers)))
            },
        )
        device.set(change(device.get(), wanted, wanted.peers))
        # WireGuard keeps the endpoint of a peer that has none any more.
        endpoints = {key: each for key, each in endpoints.items() if key in wanted.peers}
        for key, peer in wanted.peers.items():
            if peer.endpoint is not None:
                host, port = peer.endpoint
                endpoints[key] = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if seen() != expected(wanted, endpoints):
            found.append(f"wg sees {seen()}, and should see {expected(wanted, endpoints)}")
    return found


main(sys.argv[1])
