# SPDX-License-Identifier: MIT
"""A machine that Ansible does not manage, such as a phone: it imports a configuration and knows nothing else.

It is a wireguard-go in the network of one of the fleet's hosts. It is told by its own protocol, so that none of our
code for that is in it: https://www.wireguard.com/xplatform/
"""

from __future__ import annotations

import base64
import configparser
import contextlib
import gzip
import os
import socket
import subprocess
import time
import typing as t
from pathlib import Path

from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PATIENCE = 10.0  # seconds until the program listens, and for a connection
SOCKETS = Path("/var/run/wireguard")
INTERFACE = f"phone{os.getpid() % 10**6}"


class Client:
    """One that runs."""

    def __init__(self, enter: list[str]) -> None:
        self._enter = enter

    def connects(self, address: str, port: int) -> bool:
        """Does a TCP connection to there open?"""
        dial = ["timeout", str(PATIENCE), "bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}"]
        return subprocess.run([*self._enter, *dial], capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def imported(configuration: str, machine: str, directory: Path, names: Mapping[str, str]) -> Iterator[Client]:
    """The client of a configuration's text in the network of that machine; names: addresses by public names."""
    own, *peers = sections(configuration)
    enter = ["ip", "netns", "exec", machine]
    command = [*enter, str(program(directory)), "--foreground", INTERFACE]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            tell(SOCKETS / f"{INTERFACE}.sock", settings(own, peers, names))
            networks = [each for peer in peers for each in listed(peer["AllowedIPs"])]
            for words in (
                *(["addr", "add", each, "dev", INTERFACE] for each in listed(own["Address"])),
                ["link", "set", INTERFACE, "mtu", own["MTU"], "up"],
                *(["route", "replace", each, "dev", INTERFACE] for each in networks),
            ):
                subprocess.run([*enter, "ip", *words], check=True, timeout=PATIENCE)
            yield Client(enter)
        finally:
            process.terminate()


def program(directory: Path) -> Path:
    """wireguard-go, as the hosts have it."""
    cached = _programs.find("wireguard-go").cached(_programs.go_arch(os.uname().machine))
    assert cached
    (binary,) = cached.values()
    path = directory / "wireguard-go"
    path.write_bytes(gzip.decompress(Path(binary.archive).read_bytes()))
    path.chmod(0o700)
    return path


def sections(text: str) -> list[configparser.SectionProxy]:
    """[Interface], and each [Peer]; a file with several sections of one name is more than configparser can read."""
    parts = text.split("[Peer]")
    found = []
    for name, part in zip(["Interface", *["Peer"] * len(parts)], parts, strict=False):
        parser = configparser.ConfigParser()
        parser.read_string(part if name == "Interface" else f"[Peer]{part}")
        found.append(parser[name])
    return found


def settings(own: Mapping[str, str], peers: list[configparser.SectionProxy], names: Mapping[str, str]) -> str:
    """What the program must be told."""
    lines = ["set=1", f"private_key={hexadecimal(own['PrivateKey'])}"]
    for peer in peers:
        host, _, port = peer["Endpoint"].rpartition(":")
        lines += [
            f"public_key={hexadecimal(peer['PublicKey'])}",
            f"preshared_key={hexadecimal(peer['PresharedKey'])}",
            f"endpoint={names.get(host, host)}:{port}",
            f"persistent_keepalive_interval={peer['PersistentKeepalive']}",
            *(f"allowed_ip={each}" for each in listed(peer["AllowedIPs"])),
        ]
    return "\n".join([*lines, "", ""])


def listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",")]


def hexadecimal(key: str) -> str:
    return base64.b64decode(key).hex()


def tell(path: Path, text: str) -> None:
    until = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < until, "wireguard-go does not listen"
        time.sleep(0.1)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(str(path))
        sock.sendall(text.encode())
        assert sock.recv(100).startswith(b"errno=0\n")
