# SPDX-License-Identifier: MIT
"""A small fleet, and the two ways to make a mesh of it: ours, and a task for each thing (``rival/``)."""

from __future__ import annotations

import gzip
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import yaml

from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs
from tests.bench.meter import Cost, controller, measure
from tests.fleet.wire import new_connections

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
TOPOLOGY = str(HERE / "homelab.yml")
SECONDS = 600
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s", re.MULTILINE)
HEADER = re.compile(r"^\+\+\+ after: (.*)$", re.MULTILINE)
# Its own choice of what makes Ansible fast. Compression, which is Ansible's default, would cost it CPU.
RIVAL = {"ANSIBLE_PIPELINING": "true", "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=30m"}


class Ground:
    """Hosts that can be made bare again, and plays on them, with what each took."""

    def __init__(self, work: Path, topology: str = TOPOLOGY) -> None:
        self._work = work
        self._topology = topology
        self._inputs = work / "inputs"
        self._programs = work / "programs"
        self.inventory = Path()
        self.hosts: list[str] = []

    @property
    def prefix(self) -> str:
        return self.inventory.parents[1].name

    def prepare(self) -> None:
        """Have the programs built, and unpacked for the rival."""
        _run(sys.executable, "tools/programs.py")
        self._programs.mkdir()
        for name in _programs.names():
            for binary in (_programs.find(name).cached(_programs.go_arch(platform.machine())) or {}).values():
                with gzip.open(binary.archive) as packed, (self._programs / binary.name).open("wb") as plain:
                    shutil.copyfileobj(packed, plain)

    def bare(self) -> None:
        """Make all hosts anew, with nothing on them."""
        self.down()
        self.inventory = Path(self._fleet("up").splitlines()[-1])
        self.hosts = list(yaml.safe_load(self.inventory.read_text(encoding="utf-8"))["all"]["hosts"])

    def down(self) -> None:
        self._fleet("down")

    def ours(self, *arguments: str, playbooks: t.Sequence[str] = ()) -> Cost:
        """One run of site.yml without the proof, or of other playbooks."""
        return self._play(*(playbooks or without_proof()), *arguments)

    def rival(self, *arguments: str) -> Cost:
        """One run of the rival's site.yml."""
        if not self._inputs.exists():
            self._write_inputs()
        where = {"rival_programs": str(self._programs), "rival_roles": str(ROOT / "roles")}
        inputs = ["--inventory", str(self._inputs / "hosts.yml"), "--extra-vars", json.dumps(where)]
        return self._play(str(HERE / "rival" / "site.yml"), *inputs, *arguments, settings=RIVAL)

    def _fleet(self, verb: str) -> str:
        return _run(sys.executable, "-m", "fleet", verb, "--topology", self._topology)

    def _write_inputs(self) -> None:
        for host in self.hosts:
            (self._inputs / "host_vars" / host).mkdir(parents=True)
        (self._inputs / "hosts.yml").write_text("all: {}\n", encoding="utf-8")
        where = json.dumps({"inputs_directory": str(self._inputs)})
        self._play(str(HERE / "inputs.yml"), "--tags", "inputs", "--extra-vars", where)

    def _play(self, *arguments: str, settings: t.Mapping[str, str] | None = None) -> Cost:
        """Run playbooks with connections of their own; fails when they do."""
        # None of Ansible and of Python: a setting that keeps compiled modules from being kept would count against both.
        own = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
        own |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}", "LC_ALL": "C.UTF-8"}
        machines = [f"{self.prefix}-{host}" for host in self.hosts]
        with controller() as group, new_connections() as connections:
            command = ["ansible-playbook", "--inventory", str(self.inventory), "--extra-vars", json.dumps(connections)]
            environment = own | {"ANSIBLE_NOCOLOR": "1"} | dict(settings or {})
            cost = measure([*command, *arguments], machines, group, ROOT, environment)
        if cost.status != 0:
            raise AssertionError(cost.output[-4000:])
        return cost


def without_proof() -> list[str]:
    """The playbooks that site.yml consists of, but for the proof."""
    plays = yaml.safe_load((ROOT / "playbooks" / "site.yml").read_text(encoding="utf-8"))
    names = [play["ansible.builtin.import_playbook"] for play in plays]
    return [f"playbooks/{name}" for name in names if name != "proof.yml"]


def changed(cost: Cost) -> dict[str, int]:
    """How many tasks changed something, by host."""
    return {host: int(count) for host, count in RECAP.findall(cost.output)}


def shown(cost: Cost) -> set[str]:
    """What the diffs of a run name."""
    return set(HEADER.findall(cost.output))


def _run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=SECONDS)
    return done.stdout
