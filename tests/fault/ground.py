# SPDX-License-Identifier: MIT
"""The fleet of these tests: plays without the proof on it, scripts on its hosts, and what its hosts are."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import shlex
import subprocess
import sys
import typing as t
from pathlib import Path

import yaml

from tests.fault.events import Events

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
TOPOLOGY = str(HERE / "truth.yml")
SITE = yaml.safe_load((ROOT / "playbooks" / "site.yml").read_text(encoding="utf-8"))
# All that site.yml does, in its order, but the proof.
ROLES = [f"playbooks/{each['ansible.builtin.import_playbook']}" for each in SITE]
ROLES.remove("playbooks/proof.yml")
PLAY_SECONDS = 600
HOST_SECONDS = 60

if t.TYPE_CHECKING:
    from collections.abc import Iterator

Looks = dict[str, dict[str, t.Any]]  # of each host


class Ground:
    """One fleet, by its topology."""

    def __init__(self, work: Path, topology: str = TOPOLOGY) -> None:
        self._events = work / "events.jsonl"
        self._topology = topology
        self.inventory_file = Path()
        self.inventory: dict[str, t.Any] = {}

    @contextlib.contextmanager
    def anew(self) -> Iterator[t.Self]:
        """Its hosts with nothing on them, which are gone afterwards."""
        self.down()
        self.up()
        try:
            yield self
        finally:
            self.down()

    def up(self) -> None:
        """Make its hosts, with nothing on them."""
        self.inventory_file = Path(self._fleet("up").stdout.splitlines()[-1])
        self.inventory = yaml.safe_load(self.inventory_file.read_text(encoding="utf-8"))

    def down(self) -> None:
        self._fleet("down")

    def play(self, *arguments: str, playbooks: t.Sequence[str] = tuple(ROLES)) -> Events:
        """What each task said. Fails when a task does, or when Ansible itself does."""
        status, output = self.play_loudly(*arguments, playbooks=playbooks)
        said = Events.load(self._events)
        if status != 0:
            raise AssertionError("\n".join(said.failures()) or output[-4000:])
        return said

    def play_loudly(
        self,
        *arguments: str,
        playbooks: t.Sequence[str] = tuple(ROLES),
        environment: t.Mapping[str, str] | None = None,
    ) -> tuple[int, str]:
        """The exit status and all that Ansible prints."""
        command = ["ansible-playbook", "--inventory", str(self.inventory_file), *playbooks, "--diff", *arguments]
        return self.call(command, environment=environment)

    def call(self, command: list[str], *, environment: t.Mapping[str, str] | None = None) -> tuple[int, str]:
        """The exit status of a program that plays, and all that it prints."""
        self._events.unlink(missing_ok=True)
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self._environment() | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PLAY_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout

    @property
    def hosts(self) -> list[str]:
        return sorted(self.inventory["all"]["hosts"])

    def on(self, host: str, *command: str) -> list[str]:
        """How to run a command on a host as root."""
        return ["ssh", "-F", str(self.inventory_file.parent.parent / "ssh_config"), host, shlex.join(command)]

    def run(self, host: str, script: str) -> str:
        """Run a shell script on a host as root; what it says. Fails when the script does."""
        done = subprocess.run(
            self.on(host, "bash", "-s"),
            input=script,
            capture_output=True,
            text=True,
            timeout=HOST_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise AssertionError(f"on {host}: {script}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def run_all(self, scripts: t.Mapping[str, str]) -> dict[str, str]:
        """Run one script on each of these hosts, all at once; what they say."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            return dict(zip(scripts, pool.map(self.run, scripts, scripts.values()), strict=True))

    def look(self) -> Looks:
        """What all hosts are, see fingerprint.py."""
        source = (HERE / "fingerprint.py").read_text(encoding="utf-8")
        said = self.run_all(dict.fromkeys(self.hosts, f"python3 - <<'THE_END'\n{source}\nTHE_END\n"))
        return {host: json.loads(each) for host, each in said.items()}

    def _environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        return own | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}",
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "truth_events",
            "TRUTH_EVENTS": str(self._events),
        }

    def _fleet(self, verb: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fleet", verb, "--topology", self._topology]
        return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=PLAY_SECONDS)


def moved(before: Looks, after: Looks) -> list[str]:
    """What is not the same any more, and where."""
    return [
        f"{host}: {kind}: {name}: {was} -> {now}"
        for host in before
        for kind in before[host]
        for name, was, now in _pairs(before[host][kind], after[host][kind])
        if was != now
    ]


def restored(looks: Looks) -> Looks:
    """What a repair brings back: without times and process numbers, and what a run remembers of itself."""
    return {host: {kind: _lasting(kind, seen) for kind, seen in look.items()} for host, look in looks.items()}


def _lasting(kind: str, seen: t.Any) -> t.Any:
    if kind == "files":
        remembered = "/var/lib/wonder-mesh/"
        return {
            path: [*look[:3], "" if path.startswith(remembered) else look[4]] for path, look in sorted(seen.items())
        }
    if kind == "units":
        running = ("ActiveState=", "SubState=", "UnitFileState=", "NeedDaemonReload=")
        return {unit: [line for line in lines if line.startswith(running)] for unit, lines in seen.items()}
    return seen


def _pairs(before: t.Any, after: t.Any) -> list[tuple[str, t.Any, t.Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        return [(name, before.get(name), after.get(name)) for name in sorted(before.keys() | after.keys())]
    return [("", before, after)]
