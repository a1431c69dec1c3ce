# SPDX-License-Identifier: MIT
"""The virtual machines of these tests: plays and commands on them."""

from __future__ import annotations

import json
import re
import subprocess
import time
import typing as t
from pathlib import Path

import yaml

if t.TYPE_CHECKING:
    from fleet.state import State

ROOT = Path(__file__).parents[2]
TOPOLOGY = str(Path(__file__).with_name("two.yml"))
NAMES = ["box", "hub"]
UP_SECONDS = 1800  # two machines at once, emulated, and the first run on them
PLAY_SECONDS = 900
COMMAND_SECONDS = 120
KEPT = {"ansible_host", "mesh_home", "mesh_nat", "mesh_public_address"}  # of a host's variables, on another backend
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s", re.MULTILINE)


class Play(t.NamedTuple):
    """How a play ended: its exit status, how many tasks changed something on each host, and its proof."""

    status: int
    changed: dict[str, int]
    result: dict[str, t.Any]


class Machines:
    """Both, by the provider's state of their fleet."""

    def __init__(self, state: State) -> None:
        self.state = state

    def demo(self, verb: str) -> None:
        """`./demo.sh VERB`, as a person runs it; what it says is seen."""
        command = [str(ROOT / "demo.sh"), verb, "--provider", "lima", "--topology", TOPOLOGY]
        subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=True, timeout=UP_SECONDS)

    def proof(self) -> dict[str, t.Any]:
        """The last one."""
        return t.cast("dict[str, t.Any]", json.loads(self.state.inventory.with_name("result.json").read_text("utf-8")))

    def play(self, inventory: Path | None = None) -> Play:
        """Run site.yml on them."""
        inventory = inventory or self.state.inventory
        proof = inventory.with_name("result.json")
        proof.unlink(missing_ok=True)
        started = time.monotonic()
        status, said = self.call("ansible-playbook", "--inventory", str(inventory), "site.yml", seconds=PLAY_SECONDS)
        print(f"{said}\nafter {time.monotonic() - started:.0f} s")  # pytest shows it if the test fails
        result = json.loads(proof.read_text(encoding="utf-8")) if proof.exists() else {}
        return Play(status, {host: int(changed) for host, changed in RECAP.findall(said)}, result)

    def on_wireguard(self) -> Path:
        """An inventory of the same machines, as nodes on plain WireGuard, of which the one at home calls the other."""
        inventory = yaml.safe_load(self.state.inventory.read_text(encoding="utf-8"))
        data = inventory["all"]
        data["vars"]["mesh_backend"] = "wireguard"
        for name, variables in data["hosts"].items():
            data["hosts"][name] = {key: variables[key] for key in KEPT & set(variables)}
        for group in ("coordinator", "gateways"):
            data["children"][group] = {}
        folder = self.state.inventory.parent / "wireguard"
        folder.mkdir()
        path = folder / "hosts.yml"
        path.write_text(yaml.safe_dump(inventory), encoding="utf-8")
        return path

    def on(self, name: str, command: str) -> str:
        """What a command says on one of them."""
        config = str(self.state.ssh_config)
        done = subprocess.run(
            ["ssh", "-F", config, name, command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {command}: {done.stdout}{done.stderr}"
        return done.stdout

    def call(self, *command: str, seconds: float = COMMAND_SECONDS) -> tuple[int, str]:
        """The exit status of a program here, and what it says."""
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
        return done.returncode, done.stdout
