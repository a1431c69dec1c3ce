# SPDX-License-Identifier: MIT
"""Hosts with nothing on them but WireGuard interfaces, made by ``wireguard_interface`` alone, by ansible ad hoc."""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import sys
import typing as t
from pathlib import Path

import yaml

from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_tables import Plan
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_types import Mesh, Node

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TOPOLOGY = str(HERE / "tunnels.yml")
POOLS = ("10.77.0.0/16", "fd77:6d65:7368::/64")
HUBS = ("hub-1", "hub-2")
MODULE = "wonder.mesh.wireguard_interface"
SECONDS = 300

Answers = dict[str, dict[str, t.Any]]


class Playing(t.NamedTuple):
    """A play that runs."""

    process: subprocess.Popen[bytes]
    log: t.TextIO
    hosts: list[str]


class Tunnels:
    """The hosts, their keys, and what is wanted of them."""

    def __init__(self, work: Path, topology: str = TOPOLOGY) -> None:
        self._work = work
        self._topology = topology
        self.mesh: Mesh
        self.inventory = self.ssh_config = Path()
        self.keys: dict[str, str] = {}
        self.secret = work / "secret"
        self.before: dict[str, list[str]] = {}  # what the hosts were without any interface

    def up(self) -> None:
        """The hosts, without any interface yet."""
        self.inventory = Path(self._fleet("up").splitlines()[-1])
        self.ssh_config = self.inventory.parents[1] / "ssh_config"
        self.secret.touch(mode=0o600)
        self.secret.write_text(base64.b64encode(os.urandom(32)).decode() + "\n", encoding="ascii")

    def down(self) -> None:
        self._fleet("down")

    @property
    def hosts(self) -> list[str]:
        return sorted(yaml.safe_load(self.inventory.read_text(encoding="utf-8"))["all"]["hosts"])

    def describe(self, **changes: dict[str, t.Any]) -> None:
        """The mesh, as the keys are known now; changes by node, None for one that is no member."""
        nodes = {}
        for number, name in enumerate(self.hosts, 1):
            own: dict[str, t.Any] = {"addresses": (f"10.77.0.{number}", f"fd77:6d65:7368::{number}")}
            if name in HUBS:
                own |= {"public": True, "endpoints": ((f"{name}.wm.test", 51820), (f"{name}.wm.test", 123))}
                own |= {"extra_ports": (123,)}
            else:
                own |= {"home": f"of {name}"}
            own |= {"public_key": self.keys.get(name)} | changes.get(name.replace("-", "_"), {})
            nodes[name] = Node(name, **own)
        self.mesh = Mesh("auto", POOLS, tuple(hub for hub in HUBS if hub in nodes), True, nodes)

    def table(self, host: str) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", Plan(self.mesh, host).table(host))

    def tables(self) -> dict[str, dict[str, t.Any]]:
        rules = {"input": [{"from": list(POOLS), "ports": ["tcp:22", "tcp:5000-5001", "udp:5000-5001"]}]}
        names = {f"{name}.mesh.wm.test": list(node.addresses) for name, node in self.mesh.nodes.items()}
        return {
            host: {"table": self.table(host), "rules": rules, "names": names, "secret_file": str(self.secret)}
            for host in self.hosts
        }

    def reach_through(self, host: str, way: str) -> None:
        """From now on, Ansible reaches this host at its address in the mesh, through another one."""
        config = self.ssh_config
        content = yaml.safe_load(self.inventory.read_text(encoding="utf-8"))
        inside = f"ssh -F {config} -W %h:%p {way}"
        options = f"-F {config} -o HostKeyAlias={host} -o 'ProxyCommand={inside}' -o ConnectTimeout=5"
        content["all"]["hosts"][host] |= {
            "ansible_host": self.mesh.nodes[host].addresses[0],
            "ansible_ssh_common_args": f"{options} -o UserKnownHostsFile={config.with_name('known_hosts')}",
        }
        self.inventory = self._work / "through.yml"
        self.inventory.write_text(yaml.safe_dump(content), encoding="utf-8")

    def call(self, arguments: dict[str, dict[str, t.Any]], *options: str) -> Answers:
        """What the module answers on each of these hosts, all at once."""
        return self.end(self.begin(arguments, *options))

    def begin(self, arguments: dict[str, dict[str, t.Any]], *options: str) -> Playing:
        """Start such a call."""
        play = self._work / "play.yml"
        answer = {
            "name": "Keep the answer",
            "ansible.builtin.copy": {
                "content": "{{ said | to_json }}",
                "dest": f"{self._work}/{{{{ inventory_hostname }}}}",
            },
            "delegate_to": "localhost",
            "become": False,
            "check_mode": False,
            "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
        }
        call = {"name": "Call", MODULE: {}, "args": "{{ arguments[inventory_hostname] }}", "register": "said"}
        tasks = [call | {"ignore_errors": True}, answer]
        content = [{"hosts": sorted(arguments), "gather_facts": False, "become": True, "tasks": tasks}]
        play.write_text(yaml.safe_dump(content), encoding="utf-8")
        variables = self._work / "variables.json"
        variables.write_text(json.dumps({"arguments": arguments}), encoding="utf-8")
        command = ["ansible-playbook", "-i", str(self.inventory), str(play), "-e", f"@{variables}", *options]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8", "ANSIBLE_INJECT_FACT_VARS": "false"}
        for host in arguments:
            (self._work / host).unlink(missing_ok=True)
        log = (self._work / "log").open("w+", encoding="utf-8")
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        return Playing(process, log, list(arguments))

    def end(self, playing: Playing) -> Answers:
        """Its answers; that a host was lost, if it was."""
        with playing.log as log, playing.process as process:
            process.wait(timeout=SECONDS)
            log.seek(0)
            print(log.read()[-6000:])
        files = {host: self._work / host for host in playing.hosts}
        return {
            host: json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"unreachable": True}
            for host, path in files.items()
        }

    def install(self) -> Answers:
        """The keys, then the interfaces."""
        for host, answer in self.call({host: {} for host in self.hosts}).items():
            self.keys[host] = answer["public_key"]
        self.describe()
        return self.call(self.tables())

    def run(self, host: str, script: str, seconds: int = 60) -> str:
        """What a shell script says there, as root. Fails when the script does."""
        done = self.start(host, script).communicate(timeout=seconds)
        return done[0]

    def start(self, host: str, script: str) -> subprocess.Popen[str]:
        command = ["ssh", "-F", str(self.ssh_config), host, f"sudo bash -c {shlex.quote(script)}"]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def _fleet(self, verb: str) -> str:
        command = [sys.executable, "-m", "fleet", verb, "--topology", self._topology]
        return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=1800).stdout
