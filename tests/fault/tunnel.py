# SPDX-License-Identifier: MIT
"""A controller that is a node: Ansible reaches hosts by their addresses or names in the mesh, through ``desk``."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import os
import random
import signal
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import yaml

from ansible_collections.wonder.mesh.plugins.module_utils._trial import LINGER, WINDOW
from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs
from tests.fault.events import Events
from tests.fault.ground import HERE, Ground, Looks, moved, restored
from tests.fault.tries import HOSTS, KILLED, SERVER, Try

if t.TYPE_CHECKING:
    from collections.abc import Iterator

NODES = ("playbooks/check.yml", "playbooks/look.yml", "playbooks/nodes.yml")
COORDINATOR = ("playbooks/check.yml", "playbooks/look.yml", "playbooks/coordinator.yml")
CONTROLLER = "desk"
ARCH = "amd64"
PAUSE = 1.0  # seconds between two attempts to reach a host
LOST = 300  # seconds after which a host that does not answer never will
MARGIN = 15  # seconds that a host may take beyond the window: its daemon starts, and finds paths
WITHOUT_SSH = '{"mesh_admins": []}'
BEGUN = "ls -d /run/wonder-mesh-trial-* 2>/dev/null; true"
LEFT = """
ls -d /run/wonder-mesh* /var/lib/wonder-mesh/*/journal.json /var/lib/wonder-mesh/*/previous 2>/dev/null
find /etc /usr/local /var/lib/wonder-mesh -name '.*.wonder-mesh'
systemctl list-units --all --plain --no-legend 'wonder-mesh*'
"""

Variables = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of one try. ``changed`` holds, of each host, what is not as it was before."""

    said: Events
    away: dict[str, float]  # for how long at most no new connection reached a host, seconds
    changed: dict[str, list[str]]
    again: Events  # the next run, which wants what each host has
    repaired: Events  # after a killed run, one that wants the same
    left: dict[str, str]


class Tunnel(Ground):
    """The fleet, and the inventory with which it is reached through itself."""

    def __init__(self, work: Path) -> None:
        super().__init__(work, str(HERE / "tunnel.yml"))
        self._work = work
        self._wanted: dict[str, Variables] = {host: {} for host in HOSTS}

    def begin(self) -> None:
        """Make the fleet anew, and provision it from outside."""
        self.down()
        self.up()
        self.play()
        said = self.run_all(dict.fromkeys((*HOSTS, SERVER), "tailscale ip -4"))
        self._addresses = {host: address.strip() for host, address in said.items()}
        self._binaries = _binaries(self._work)
        self._from_outside, self.inventory_file = self.inventory, self.inventory_file.with_name("mesh.yml")

    def attempt(self, each: Try) -> Outcome:
        """Make one run through the mesh, and see what became of the hosts."""
        wanted = {host: self._wanted[host] | self._variables(host, each) for host in HOSTS}
        hosts = [SERVER, *HOSTS] if each.is_policy else [*HOSTS]
        names = {host: f"{host}-{each.number}" for host in HOSTS if each.changes[host] == "another name"}
        self._rename(names)
        before = self.look()
        with self._watch(hosts) as away:
            if each.is_killed:
                self._kill(wanted, random.Random(each.number).uniform(0, 5))  # noqa: S311
                said = Events({})
            else:
                said = self._run(each, wanted, names, *(["--extra-vars", WITHOUT_SSH] if each.is_policy else []))
        after = self.look()
        changed = {host: _changes(host, before, after) for host in hosts}
        self._wanted = {host: wanted[host] if changed[host] else self._wanted[host] for host in HOSTS}
        self._rename({host: host for host in names})
        again = self._run(each, self._wanted, {})
        repaired = self._run(each, wanted, {}) if each.is_killed else again
        self._wanted = wanted if each.is_killed else self._wanted
        return Outcome(said, away, changed, again, repaired, self._left(LINGER if each.is_killed else 0))

    def _variables(self, host: str, each: Try) -> Variables:
        change, port = each.changes[host], 41700 + each.number
        programs = {
            "new bytes": f"new-{each.number}",
            "a program that ends at once": "tailscale",
            "a program that carries nothing": "mute",
        }
        if change in programs:
            return {"tailscaled_program_source": {ARCH: self._source(programs[change])}}
        if change in ("another port", KILLED):
            return {"tailscaled_port": port}
        if change == "another preference":
            return {"tailscaled_accept_routes": not self._wanted[host].get("tailscaled_accept_routes")}
        return {}

    def _source(self, name: str) -> dict[str, dict[str, str]]:
        """A program source with this file as tailscaled."""
        path = self._work / name
        if not path.exists():  # what follows the end of an ELF file is ignored
            path.write_bytes(self._binaries["tailscaled"].read_bytes() + name.encode())
        files = {"tailscale": self._binaries["tailscale"], "tailscaled": path}
        return {
            binary: {"file": str(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
            for binary, file in files.items()
        }

    def _rename(self, names: dict[str, str]) -> None:
        """Give hosts other names behind our back, and wait until the mesh knows them: a run takes them away again."""
        self.run_all({host: f"tailscale set --hostname={name}" for host, name in names.items()})
        for name in names.values():
            self.run(CONTROLLER, f"until getent hosts {name}.mesh.wm.test; do sleep 0.2; done")

    def _run(self, each: Try, wanted: dict[str, Variables], names: dict[str, str], *arguments: str) -> Events:
        """A run over the mesh; what it said, also when it failed."""
        self._write_inventory(wanted, names, server_inside=bool(each.number % 2))
        limit = SERVER if each.is_policy else ",".join(HOSTS)
        playbooks = COORDINATOR if each.is_policy else NODES
        _status, output = self.play_loudly("--limit", limit, *arguments, playbooks=playbooks)
        print(output)
        return Events.load(self._events)

    def _write_inventory(self, wanted: dict[str, Variables], names: dict[str, str], *, server_inside: bool) -> None:
        """Hosts by these names or by their addresses; the server from outside or through the mesh."""
        place = self.inventory_file.parents[1]
        common = {
            "HostKeyAlias": "",
            "UserKnownHostsFile": place / "known_hosts",
            "StrictHostKeyChecking": "yes",
            "CheckHostIP": "no",
            "LogLevel": "ERROR",
            "IdentitiesOnly": "yes",
            "ProxyCommand": f"'ssh -F {place / 'ssh_config'} -W %h:%p {CONTROLLER}'",
        }
        inventory = yaml.safe_load(yaml.safe_dump(self._from_outside))
        for host in (*HOSTS, SERVER) if server_inside else HOSTS:
            options = " ".join(f"-o {key}={value}" for key, value in (common | {"HostKeyAlias": host}).items())
            inventory["all"]["hosts"][host] |= {
                "ansible_host": f"{names[host]}.mesh.wm.test" if host in names else self._addresses[host],
                "ansible_ssh_common_args": f"-F {place / 'ssh_config'} {options}",
                **wanted.get(host, {}),
            }
        self.inventory_file.write_text(yaml.safe_dump(inventory), encoding="utf-8")
        self.inventory = inventory

    def _kill(self, wanted: dict[str, Variables], after: float) -> None:
        """Kill a run, with all its processes, so many seconds after a host began its change; until that is settled."""
        self._write_inventory(wanted, {}, server_inside=True)
        command = ["ansible-playbook", "--inventory", str(self.inventory_file), *NODES, "--limit", ",".join(HOSTS)]
        with subprocess.Popen(command, cwd=HERE.parents[1], env=self._environment(), stdout=subprocess.DEVNULL) as run:
            while run.poll() is None and not self.run(HOSTS[0], BEGUN):
                time.sleep(0.1)
            time.sleep(after)
            for pid in _family(run.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + WINDOW + MARGIN
        while time.monotonic() < deadline and any("journal" in left for left in self._left(0).values()):
            time.sleep(1)

    @contextlib.contextmanager
    def _watch(self, hosts: list[str]) -> Iterator[dict[str, float]]:
        """Meanwhile, for how long each host answers no new connection from the controller's node."""
        away: dict[str, float] = {}
        over = threading.Event()
        threads = [threading.Thread(target=self._watch_one, args=(host, away, over)) for host in hosts]
        for thread in threads:
            thread.start()
        try:
            yield away
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def _watch_one(self, host: str, away: dict[str, float], over: threading.Event) -> None:
        answered = time.monotonic()
        last = False
        while not last:
            time.sleep(PAUSE)
            last = over.is_set()  # it is asked once more after the run
            answers = self._answers(host)
            away[host] = max(away.get(host, 0), time.monotonic() - answered)
            if answers:
                answered = time.monotonic()
            else:
                last = last and away[host] > LOST

    def _answers(self, host: str) -> bool:
        greeting = f"timeout 5 bash -c 'exec 3<>/dev/tcp/{self._addresses[host]}/22 && read -ru 3 line && echo $line'"
        done = subprocess.run(self.on(CONTROLLER, "bash", "-c", greeting), capture_output=True, check=False, timeout=30)
        return done.stdout.startswith(b"SSH-2.0-")

    def _left(self, patience: float) -> dict[str, str]:
        """What is left of trials and transactions after so many seconds, at the latest."""
        deadline = time.monotonic() + patience + 5
        while True:
            said = self.run_all(dict.fromkeys((*HOSTS, SERVER), LEFT))
            left = {host: lines for host, lines in said.items() if lines}
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(1)


def _changes(host: str, before: Looks, after: Looks) -> list[str]:
    """What is not as it was, but for a trial whose outcome nobody has fetched yet: that ends by itself."""
    lines = moved(*(restored({host: looks[host]}) for looks in (before, after)))
    return [line for line in lines if "/run/wonder-mesh-trial-" not in line]


def _binaries(work: Path) -> dict[str, Path]:
    """The programs that the fleet runs, and one that carries nothing."""
    cached = _programs.find("tailscale", "").cached(ARCH) or {}
    for name, binary in cached.items():
        (work / name).write_bytes(gzip.decompress(binary.archive.read_bytes()))
    subprocess.run(["go", "build", "-o", str(work / "mute"), "."], cwd=HERE / "mute", check=True, timeout=300)
    return {name: work / name for name in (*cached, "mute")}


def _family(pid: int) -> list[int]:
    """A process and all that it has started."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text(encoding="utf-8").rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    return [pid, *(each for child in parents.get(pid, []) for each in _family(child))]
