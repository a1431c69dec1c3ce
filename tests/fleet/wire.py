# SPDX-License-Identifier: MIT
"""What a controller sends to the hosts of a fleet, as the hosts themselves see it; Ansible is not asked.

Bytes are those of the TCP packets, with their headers, that the host's kernel takes in for its SSH port: an nftables
counter in the host's network namespace. They are what crosses the wire: encrypted, and compressed when the SSH client
compresses. The handshake is in it. (Packets are those of a loopback device; an Ethernet cuts them smaller, which adds
three percent.) Probes that reach a node through its mesh interface are no controller's, and do not count.

Calls are the commands that the host's sshd was asked to start, from its own log: each module that runs, the search
for a Python, and anything else. Uploads are the subsystems it was asked for, which is how files are sent.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import subprocess
import tempfile
import typing as t
from pathlib import Path

from fleet import cgroups

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SECONDS = 30
LOUD = "/etc/ssh/sshd_config.d/00-wire.conf"
# Before any chain that others may make.
RULES = """
table inet wire {
  chain ssh {
    type filter hook input priority -400;
    iifname "lo" tcp dport 22 counter
  }
}
"""
GONE = "table inet wire\ndelete table inet wire\n"  # also when there is none
SESSION = re.compile(r"^Starting session: (command|subsystem|shell)\b", re.MULTILINE)
CONNECTION = re.compile(r"^Accepted \S+ for ", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Traffic:
    """What one host has seen: connections, commands and uploads by number, and bytes."""

    connections: int
    calls: int
    uploads: int
    bytes: int


class Wire:
    """The SSH ports of a fleet's hosts while it counts; ``prefix`` is the fleet's."""

    def __init__(self, prefix: str, hosts: Sequence[str]) -> None:
        self._machines = {host: f"{prefix}-{host}" for host in hosts}
        self._cursors: dict[str, str] = {}
        self._before: dict[str, int] = {}

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """The counters exist in here, and hosts are as they were afterwards."""
        try:
            for machine in self._machines.values():
                _in_network(machine, "nft", "--file", "-", text=RULES)
                _in_host(machine, f"echo LogLevel VERBOSE >{LOUD} && systemctl reload ssh")
            yield
        finally:
            for machine in self._machines.values():
                _in_network(machine, "nft", "--file", "-", text=GONE)
                _in_host(machine, f"rm --force {LOUD} && systemctl reload ssh")

    def reset(self) -> None:
        """Count from here on."""
        for host, machine in self._machines.items():
            self._cursors[host] = _in_host(machine, "journalctl --quiet --lines=0 --show-cursor").split()[-1]
            self._before[host] = _bytes(machine)

    def read(self) -> Mapping[str, Traffic]:
        """What each host has seen since ``reset``."""
        return {host: self._traffic(host, machine) for host, machine in self._machines.items()}

    def _traffic(self, host: str, machine: str) -> Traffic:
        received = _bytes(machine) - self._before[host]
        # Not by the unit: what sshd says for a session counts as said by the session's.
        since = f"journalctl --quiet --identifier=sshd --output=cat --after-cursor='{self._cursors[host]}'"
        log = _in_host(machine, f"journalctl --sync; {since}")
        sessions = [found[1] for found in SESSION.finditer(log)]
        uploads = sessions.count("subsystem")
        return Traffic(len(CONNECTION.findall(log)), len(sessions) - uploads, uploads, received)


@contextlib.contextmanager
def new_connections() -> Iterator[dict[str, str]]:
    """Variables with which a play opens connections of its own; they are closed at the end."""
    with tempfile.TemporaryDirectory(prefix="wm") as directory:  # short: a socket's whole path may have 107 characters
        try:
            yield {"ansible_control_path_dir": directory}
        finally:
            for socket in Path(directory).iterdir():
                close = ["ssh", "-F", "none", "-o", f"ControlPath={socket}", "-O", "exit", "host"]
                subprocess.run(close, check=False, capture_output=True, timeout=SECONDS)


def _bytes(machine: str) -> int:
    listed = json.loads(_in_network(machine, "nft", "--json", "list", "chain", "inet", "wire", "ssh"))
    rule = next(each["rule"] for each in listed["nftables"] if "rule" in each)
    return int(next(each["counter"]["bytes"] for each in rule["expr"] if "counter" in each))


def _in_network(machine: str, *command: str, text: str = "") -> str:
    return _run("ip", "netns", "exec", machine, *command, text=text)


def _in_host(machine: str, script: str) -> str:
    """Run a script in the host without its sshd."""
    first = (cgroups.of(machine)[0] / "payload" / "init.scope" / "cgroup.procs").read_text(encoding="ascii").split()[0]
    return _run("nsenter", "--target", first, "--all", "bash", "-c", script)


def _run(*command: str, text: str = "") -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
