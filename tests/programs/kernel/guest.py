# SPDX-License-Identifier: MIT
"""Runs in a virtual machine, where the kernel has WireGuard: prints one line of JSON with what it found."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time

AGENT = "/agent.pyz"
sys.path.insert(0, AGENT)

from ansible_collections.wonder.mesh.plugins.module_utils import _wireguard_agent as agent
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_device import NO_KEY, Device, Peer, change
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_key import WireGuardError, encode
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_live import Live
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_netlink import KernelDevice
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_place import Place
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_run import of_unit
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_wanted import Wanted, load_secrets
from ansible_collections.wonder.mesh.plugins.module_utils._x25519 import new_private_key, public_of

CHANGES = 100
NETWORKS = [*(f"10.0.0.{number}/32" for number in range(12)), *(f"fd77::{number:x}/128" for number in range(1, 8))]
ETC = "/etc/wonder-mesh/wireguard"
FOUND: dict[str, object] = {}


def shell(command: str) -> str:
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)  # noqa: S602
    return done.stdout if done.returncode == 0 else f"{done.stdout}{done.stderr}(status {done.returncode})"


def compared(device: Device) -> object:
    peers = {key: (peer.preshared_key, peer.keepalive, peer.allowed_ips) for key, peer in device.peers.items()}
    return device.private_key, device.port, peers


def random_device(choose: random.Random, keys: list[bytes], peers: list[bytes]) -> Device:
    owners = {net: choose.choice([*peers, None]) for net in NETWORKS}
    return Device(
        choose.choice(keys),
        choose.choice([1000, 2000]),
        {
            key: Peer(
                key,
                choose.choice([NO_KEY, bytes([5]) * 32]),
                choose.choice([None, ("192.0.2.1", 99), ("2001:db8::1", 98)]),
                choose.choice([0, 25]),
                frozenset(net for net, owner in owners.items() if owner == key),
            )
            for key in choose.sample(peers, choose.randrange(len(peers)))
        },
    )


def changes() -> None:
    """Any state becomes any other, and a second change has nothing to do."""
    shell("ip link add wmx type wireguard")
    device, choose = KernelDevice("wmx"), random.Random(7)  # noqa: S311
    keys, peers = ([new_private_key() for _ in range(2)], [public_of(new_private_key()) for _ in range(7)])
    wrong = 0
    for _ in range(CHANGES):
        wanted = random_device(choose, keys, peers)
        device.set(change(device.get(), wanted, wanted.peers))
        found = device.get()
        wrong += compared(found) != compared(wanted) or not change(found, wanted, wanted.peers).empty
    FOUND["wrong_changes"] = wrong
    many = {number.to_bytes(4, "big") + bytes(27) + b"\1": number for number in range(1, 1001)}
    wanted = Device(
        keys[0],
        3000,
        {
            key: Peer(key, keepalive=25, allowed_ips=frozenset({f"10.9.{n // 256}.{n % 256}/32"}))
            for key, n in many.items()
        },
    )
    first = next(iter(many))
    nets = frozenset(f"10.{a}.{b}.0/24" for a in range(100, 112) for b in range(256))
    wanted = Device(keys[0], 3000, {**wanted.peers, first: Peer(first, allowed_ips=nets)})
    device.set(change(device.get(), wanted))
    FOUND["a_thousand_peers"] = compared(device.get()) == compared(wanted)
    shell("ip link del wmx")
    try:
        device.get()
    except WireGuardError as exc:
        FOUND["none"] = str(exc)


def write(name: str, private: bytes, own: int, other: int, public: bytes) -> None:
    """What the module would have put on the host."""
    table = {
        "name": name, "public_key": "", "addresses": [f"10.77.0.{own}/32", f"fd77::{own}/128"], "mtu": 1420,
        "port": 5000 + own, "extra_ports": [123], "routes": ["10.77.0.0/16", "fd77::/64"], "hubs": [], "relayed": [],
        "forward": {"mesh": True, "networks": []},
    }  # fmt: skip
    peer = {
        "name": "other", "public_key": encode(public), "endpoint": f"10.1.0.{other}:{5000 + other}",
        "allowed_ips": [f"10.77.0.{other}/32", f"fd77::{other}/128"], "keepalive": 0, "preshared": True,
    }  # fmt: skip
    os.makedirs(ETC, exist_ok=True)
    os.makedirs(f"/run/wireguard-{name}")
    for what, text in {
        "key": encode(private) + "\n",
        "json": json.dumps({"table": table, "rules": {}, "names": {}, "peers": [peer]}),
        "preshared.json": json.dumps({"other": encode(bytes([9]) * 32)}),
    }.items():
        with open(f"{ETC}/{name}.{what}", "w", encoding="ascii") as stream:
            stream.write(text)


def pair() -> None:
    """Two interfaces, each made by the agent, in two network namespaces."""
    keys = [new_private_key() for _ in range(2)]
    write("wma", keys[0], 1, 2, public_of(keys[1]))
    write("wmb", keys[1], 2, 1, public_of(keys[0]))
    shell("ip netns add b; ip link add va type veth peer name vb; ip link set vb netns b; ip -n b link set lo up")
    shell(
        "ip addr add 10.1.0.1/24 dev va; ip link set va up; ip -n b addr add 10.1.0.2/24 dev vb; ip -n b link set vb up"
    )
    FOUND["up"] = [agent.main(["up", "wma"]), shell(f"ip netns exec b python3 -S {AGENT} up wmb")]
    FOUND["pings"] = [shell(f"ping -c 3 -i 0.2 -W 5 -q {each}") for each in ("10.77.0.2", "fd77::2")]
    FOUND["sessions"] = [
        [time.time() - peer.handshake < 600, peer.received > 0, peer.sent > 0, peer.endpoint]
        for peer in KernelDevice("wma").get().peers.values()
    ]
    place = Place("wma")
    FOUND["differences"] = Live(place, of_unit).differences(Wanted.load(place), *load_secrets(place))
    before = KernelDevice("wma").get()
    FOUND["applied_again"] = [agent.main(["apply", "wma"]), KernelDevice("wma").get() == before]
    FOUND["forwards"] = shell("sysctl -n net.ipv4.conf.wma.forwarding net.ipv6.conf.all.forwarding").split()
    FOUND["down"] = [agent.main(["down", "wma"]), shell("ip -o link show type wireguard; nft list ruleset")]
    FOUND["forwards_after"] = shell("sysctl -n net.ipv6.conf.all.forwarding").split()


shell("modprobe wireguard")
changes()
pair()
print("FOUND", json.dumps(FOUND), flush=True)
