# SPDX-License-Identifier: MIT
"""A fleet that is up and provisioned, as the tests see it: its hosts by SSH, its proof, and plays on it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import re
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import testinfra
import yaml

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from testinfra.backend.base import CommandResult
    from testinfra.host import Host

ROOT = Path(__file__).parents[2]
DEMO = str(ROOT / "demo.sh")
PLAY_SECONDS = 600  # a play on a fleet takes some tens of seconds; more than this hangs
UP_SECONDS = 1800  # the first run builds the programs and the base tree
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Play:
    """How a play ended: its exit status, for each host of its recap how many tasks changed something, what it said."""

    status: int
    changed: dict[str, int]
    output: str


class Reloads(t.NamedTuple):
    """Reloads of the coordinator's Caddy: their exit status, the streams open before, and when they were over."""

    status: int
    before: set[str]
    over: float  # on the monotonic clock, seconds


class Fleet:
    """One topology; ``ours`` says that the tests have brought it up, and take it down."""

    def __init__(self, topology: str, *, ours: bool = False) -> None:
        self.topology, self.ours = topology, ours

    def is_up(self) -> bool:
        return self._demo("inventory", seconds=60).returncode == 0

    def up(self) -> None:
        """Make, provision and prove it; what that prints is not captured, since it may take long."""
        self._show("up", seconds=UP_SECONDS)

    def make(self) -> None:
        """Only make its hosts."""
        command = [sys.executable, "-m", "fleet", "up", "--topology", self.topology]
        subprocess.run(command, cwd=ROOT, check=True, timeout=UP_SECONDS, stdin=subprocess.DEVNULL)

    def down(self) -> None:
        self._show("down", seconds=300)

    @functools.cached_property
    def inventory(self) -> Path:
        return Path(self._demo("inventory", seconds=60, check=True).stdout.strip())

    @property
    def result_file(self) -> Path:
        return self.inventory.with_name("result.json")

    @functools.cached_property
    def result(self) -> dict[str, t.Any]:
        """The proof as the tests found it; tests that prove anew write theirs elsewhere."""
        return read_json(self.result_file)

    @functools.cached_property
    def variables(self) -> dict[str, t.Any]:
        """What the inventory says for all hosts."""
        return yaml.safe_load(self.inventory.read_text(encoding="utf-8"))["all"]["vars"]

    def host(self, name: str) -> Host:
        """A host by SSH, as root."""
        become = self.variables["ansible_user"] != "root"
        return testinfra.get_host(f"ansible://{name}?ansible_inventory={self.inventory}", sudo=become)

    def address(self, name: str) -> str:
        """The mesh address of a node."""
        return next(node["address"] for node in self.result["nodes"] if node["name"] == name)

    def play(
        self,
        playbook: str,
        *arguments: str,
        variables: Mapping[str, t.Any] | None = None,
        inventory: Path | None = None,
        inside: str = "",
    ) -> Play:
        """Run a playbook of the checkout on the fleet; with ``inside``, from a controller in that host's place."""
        extra = ["--extra-vars", json.dumps(dict(variables))] if variables else []
        command = ["ansible-playbook", "--inventory", str(inventory or self.inventory), playbook, *arguments, *extra]
        done = subprocess.run(
            [*self._enter(inside), *command] if inside else command,
            cwd=ROOT,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=PLAY_SECONDS,
        )
        print(done.stdout)  # pytest shows it if the test fails
        changed = {host: int(changed) for host, changed in RECAP.findall(done.stdout)}
        return Play(done.returncode, changed, done.stdout)

    def kill(self, playbook: str, *, after: float, variables: Mapping[str, t.Any]) -> None:
        """Start a playbook and kill it, with all that it started here, after so many seconds."""
        command = [
            "ansible-playbook",
            "--inventory",
            str(self.inventory),
            playbook,
            "--extra-vars",
            json.dumps(variables),
        ]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        ) as play:
            try:
                play.communicate(timeout=after)
            except subprocess.TimeoutExpired:
                os.killpg(play.pid, signal.SIGKILL)

    def status(self) -> tuple[int, str]:
        """What ``./demo.sh status --json`` says: its exit status and its standard output."""
        done = self._demo("status", "--json", seconds=PLAY_SECONDS)
        print(done.stderr)
        return done.returncode, done.stdout

    def connects(self, source: str, address: str, port: int) -> bool:
        """Does a TCP connection from this host to there open within five seconds?"""
        return run(self.host(source), f"timeout 5 bash -c 'exec 3<>/dev/tcp/{address}/{port}'").rc == 0

    def run_inside(self, host: str, command: list[str], *, seconds: float) -> subprocess.CompletedProcess[str]:
        """Run a program of this machine in that host's place."""
        return subprocess.run(
            [*self._enter(host), *command],
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=seconds,
        )

    @contextlib.contextmanager
    def started_inside(self, host: str, command: list[str], log: t.IO[str]) -> Iterator[None]:
        """A program of this machine runs in that host's place meanwhile."""
        with subprocess.Popen(
            [*self._enter(host), *command], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        ) as process:
            try:
                yield
            finally:
                process.terminate()

    def _enter(self, host: str) -> list[str]:
        """What to put before a command so that it has the network, the names and the authorities of that host."""
        place = self.inventory.parents[1]
        hosts = place / "hosts" / host / "root" / "etc" / "hosts"
        command = f'mount --bind {hosts} /etc/hosts && SSL_CERT_FILE={place / "ca.pem"} exec "$@"'
        return ["ip", "netns", "exec", f"{place.name}-{host}", "bash", "-c", command, "bash"]

    def _show(self, verb: str, *, seconds: int) -> None:
        command = [DEMO, verb, "--topology", self.topology]
        subprocess.run(command, check=True, timeout=seconds, stdin=subprocess.DEVNULL)

    def _demo(self, verb: str, *arguments: str, seconds: int, check: bool = False) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [DEMO, verb, *arguments, "--topology", self.topology],
            check=check,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=seconds,
        )


def wait_until(seconds: float, holds: Callable[[], bool]) -> float:
    """How long it took; fails when it takes longer."""
    since = time.monotonic()
    while not holds():
        assert time.monotonic() < since + seconds, f"not within {seconds} s"
        time.sleep(0.5)
    return time.monotonic() - since


def run(host: Host, command: str) -> CommandResult:
    """Run a command there; testinfra itself knows no time limit, so the command has one."""
    done = host.run(command)
    print(f"$ {command}\n{done.stdout}{done.stderr}")
    return done


def streams(demo: Fleet) -> set[str]:
    """The far ends of all connections to the coordinator's web port: what nodes keep open to control and relay."""
    listed = run(demo.host("hub"), "ss --no-header --tcp --numeric state established 'sport = :443'").stdout
    return {line.split()[3] for line in listed.splitlines()}


def read_json(path: Path) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", json.loads(path.read_text(encoding="utf-8")))
