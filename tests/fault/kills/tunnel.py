# SPDX-License-Identifier: MIT
"""Runs on a host of the fleet, with the standard library: what a WireGuard interface is there, as data without keys.

Instead of a key it says whose it is, so that hosts whose keys are made anew can be compared too.
"""

from __future__ import annotations

import glob
import json
import os
import re
import socket
import subprocess
import sys
import time
import typing as t

NAME = "wm0"
PLACE = "/etc/wonder-mesh/wireguard"
AGENT = f"/usr/local/lib/wonder-mesh/wireguard-{NAME}.pyz"
PORT = 7733  # of the proof's probes, which every node answers to every other one
PATIENCE = 30  # seconds
SETTINGS = ("/proc/sys/net/ipv4/conf/*/forwarding", "/proc/sys/net/ipv6/conf/*/forwarding")
# The agent's own eyes, in a process of its own: what it imports may be replaced at any time.
DEVICE = """
import sys
sys.path.insert(0, sys.argv[1])
import json
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_key import encode
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_live import backend
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_place import Place
found = backend(Place(sys.argv[2])).get()
peers = {encode(key): [encode(peer.preshared_key), peer.keepalive, sorted(peer.allowed_ips)]
         for key, peer in found.peers.items()}
print(json.dumps({"private": encode(found.private_key), "port": found.port, "peers": peers}))
"""


def said(*command: str) -> str:
    """What a command says; nothing, where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def interface() -> dict[str, t.Any]:
    """The interface as it runs: its network, its rules, its peers by their names."""
    return {
        "addresses": said("ip", "-brief", "address", "show", "dev", NAME, "scope", "global"),
        "routes": sorted(
            line for family in ("-4", "-6") for line in said("ip", family, "route", "show", "dev", NAME).splitlines()
        ),
        "mtu": read(f"/sys/class/net/{NAME}/mtu"),
        "rules": said("nft", "--stateless", "list", "table", "inet", f"wonder_mesh_{NAME}"),
        "settings": [f"{path}: {read(path)}" for pattern in SETTINGS for path in sorted(glob.glob(pattern))],
        "device": device(),
    }


def device() -> dict[str, t.Any]:
    """WireGuard's own part. A key is said to be that of its file, or another one."""
    found = json.loads(said("/usr/bin/python3", "-I", "-c", DEVICE, AGENT, NAME) or "{}")
    if not found:
        return {}
    wanted = json.loads(read(f"{PLACE}/{NAME}.json") or '{"peers": []}')
    shared = json.loads(read(f"{PLACE}/{NAME}.preshared.json") or "{}")
    names = {each["public_key"]: each["name"] for each in wanted["peers"]}
    nothing = "A" * 43 + "="
    return {
        "private": "that of its file" if found["private"] == read(f"{PLACE}/{NAME}.key") else "another one",
        "port": found["port"],
        "peers": {
            names.get(key, key): [preshared in (shared.get(names.get(key)), nothing), keepalive, networks]
            for key, (preshared, keepalive, networks) in sorted(found["peers"].items())
        },
    }


def files() -> dict[str, list[str]]:
    """Mode and content of what the interface is made of, by path."""
    return {
        path: [oct(os.stat(path).st_mode), without_keys(read(path))]
        for path in sorted(glob.glob(f"{PLACE}/*") + glob.glob(f"{PLACE}/.*"))
        if os.path.isfile(path)
    }


def without_keys(text: str) -> str:
    """The text, but for keys and for what counts how often one was made."""
    text = re.sub(r"[A-Za-z0-9+/]{43}=", "a key", text)
    return re.sub(r'"serial": \d+', '"serial": N', text)


def silent(addresses: list[str]) -> list[str]:
    """Those at which no node takes a connection, for so long."""
    left, deadline = addresses, time.monotonic() + PATIENCE
    while left and time.monotonic() < deadline:
        left = [each for each in left if not answers(each, 2)]
    return left


def answers(address: str, timeout: float = 5) -> bool:
    """Whether a node's probe takes a connection."""
    try:
        with socket.create_connection((address, PORT), timeout=timeout):
            return True
    except OSError:
        return False


def read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def units() -> list[str]:
    """Whether they run, and will after a reboot."""
    names = [f"wireguard-{NAME}.service", f"wireguard-{NAME}-watch.service"]
    return said("systemctl", "show", "--property=Id,ActiveState,UnitFileState,NeedDaemonReload", *names).splitlines()


def main(addresses: list[str]) -> None:
    found = silent(addresses) if addresses else {"interface": interface(), "files": files(), "units": units()}
    json.dump(found, sys.stdout, sort_keys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
