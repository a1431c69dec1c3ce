# SPDX-License-Identifier: MIT
"""Damaged maps of relays, and damaged limits of a relay: none becomes active, and what runs goes on serving.

As in test_damaged.py it is the module of the roles that is told to put them there: ``daemon``, with a real Headscale
and a real derper as the daemons. Headscale starts with many a damaged map, and its own checker reads none.
"""

from __future__ import annotations

import collections
import contextlib
import http.client
import json
import random
import signal
import subprocess
import time
import typing as t
from pathlib import Path

import jinja2
import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.filter.derp_map import derp_map
from ansible_collections.wonder.mesh.plugins.module_utils._derp_map import published
from tests.fault.conftest import SEED, share_of
from tests.fault.damage import damaged_limits, damaged_regions, flipped_bytes, truncated_bytes
from tests.programs.control import Control, configuration, free_ports, program
from tests.programs.gateway import free_port, listens
from tests.unit.conftest import run_module
from tests.unit.plugins.filter.test_derp_map import PIN, written
from tests.unit.plugins.modules.conftest import host, run_daemon
from tests.unit.plugins.modules.daemon_host import Host
from tests.unit.plugins.plugin_utils.mesh_world import model
from tests.unit.plugins.plugin_utils.test_relays import relays

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.unit.plugins.modules.daemon_host import Run

__all__ = ["host", "run_daemon", "run_module"]

MAPS, LIMITS = 120, 30  # of all, which with those in test_damaged.py are 500
START = 30  # seconds
MESH = model(**relays("edge", "out", out={"mesh_public_address": "relay.example.com", "derper_ipv4": "203.0.113.14"}))
REGIONS = derp_map(MESH, [PIN, ""])
RATE = {"PerClientRateLimitBytesPerSec": 1000000}


class Headscale:
    """Its file is the map of relays."""

    judge, on_change = "derp_map", "restart"

    def __init__(self, place: Path, file: Path) -> None:
        self._control = Control(place, free_ports())
        derp = {"server": {"enabled": False}, "urls": [], "paths": [str(file)]}
        Path(self._control.config).write_text(json.dumps(configuration(self._control) | {"derp": derp}))
        self.command = [program(place, "headscale"), "serve", "--config", self._control.config]

    def is_up(self) -> bool:
        return '"pass"' in self._asked(self._control.port, "/health")

    def tells(self) -> t.Any:
        """The map that nodes get."""
        return json.loads(self._asked(self._control.port + 1, "/debug/derp"))["regions"]

    def _asked(self, port: int, path: str) -> str:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=START)) as connection:
            try:
                connection.request("GET", path, headers={"Accept": "application/json"})
                return connection.getresponse().read().decode()
            except OSError:
                return ""


class Derper:
    """Its file are the limits of each client."""

    judge, on_change = "derper_limits", "reload"

    def __init__(self, place: Path, file: Path) -> None:
        self._port = free_port()
        where = ["-hostname", "127.0.0.1", "-a", f"127.0.0.1:{self._port}", "-http-port", "-1", "-stun=false"]
        files = ["-c", place / "key", "-certmode", "manual", "-certdir", place, "-rate-config", file]
        self.command = [program(place, "derper"), *where, *map(str, files)]

    def is_up(self) -> bool:
        return listens(self._port)


class ProgramHost(Host):
    """A host whose daemon is a real program, which reads one file."""

    program: Headscale | Derper
    process: subprocess.Popen[bytes] | None = None
    started = 0

    @property
    def file(self) -> Path:
        return self.etc / "file"

    def describe(self, content: bytes) -> dict[str, t.Any]:
        """The module's arguments."""
        file = {"path": str(self.file), "content": content.decode(errors="replace")}
        file |= {"judge": self.program.judge, "on_change": self.program.on_change}
        unit = {"path": str(self.units / "program.service"), "content": "[Service]\n"}
        return {"name": "program", "files": [file, unit], "units": ["program.service"]}

    def serves(self) -> bool:
        """Whether it runs and is up, or comes up in time."""
        until = time.monotonic() + START
        while self.process and self.process.poll() is None and time.monotonic() < until:
            if self.program.is_up():
                return True
            time.sleep(0.02)
        return False

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=START)

    def _restart(self, name: str) -> tuple[int, str]:
        self.started += 1
        self.stop()
        with (self.root / "log").open("w") as log:
            command, environment = self.program.command, {"HOME": str(self.root)}
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        self.unit(name).active, self.unit(name).loaded = "active", (self.units / name).read_bytes()
        return (0 if self.serves() else 1), ""

    def _reload(self, _name: str) -> tuple[int, str]:
        assert self.process
        self.process.send_signal(signal.SIGHUP)
        return 0, ""


HOST = ProgramHost


@contextlib.contextmanager
def running(host: ProgramHost, program: Headscale | Derper, good: bytes, run_daemon: Run) -> Iterator[None]:
    """The program with a file as it should be, which ``daemon`` has put there."""
    host.program = program
    try:
        done = run_daemon(host.describe(good))
        assert not done["failed"], done["msg"]
        yield
    finally:
        host.stop()


@pytest.fixture
def coordinator(host: ProgramHost, run_daemon: Run, tmp_path: Path) -> Iterator[Headscale]:
    headscale = Headscale(tmp_path, host.file)
    with running(host, headscale, written(REGIONS), run_daemon):
        yield headscale


@pytest.fixture
def relay(host: ProgramHost, run_daemon: Run, tmp_path: Path) -> Iterator[Derper]:
    derper = Derper(tmp_path, host.file)
    with running(host, derper, json.dumps(RATE).encode(), run_daemon):
        yield derper


def test_no_damaged_map_becomes_active_and_headscale_goes_on_with_its_own(
    host: ProgramHost, coordinator: Headscale, run_daemon: Run, say: Callable[[str], None]
) -> None:
    before, told, wrong, kinds = host.file.read_bytes(), coordinator.tells(), [], collections.Counter[str]()
    for number in share_of(MAPS):
        rng = random.Random(f"{SEED}.map.{number}")  # noqa: S311
        what, said = damage_map(host, run_daemon, rng)
        kept = (host.file.read_bytes(), host.serves() and coordinator.tells()) == (before, told)
        if not (said and kept):
            wrong.append((number, what, said or "it was taken", kept))
        kinds[what.partition(" at ")[0].partition(" after ")[0]] += 1
    say(f"damaged maps of relays: {sum(kinds.values())}, active {len(wrong)} ({dict(sorted(kinds.items()))})")
    assert (wrong, host.started) == ([], 1)


def damage_map(host: ProgramHost, run_daemon: Run, rng: random.Random) -> tuple[str, str]:
    """Damage it in one of the ways and places; what was done, and how it was refused, if it was.

    On the way to the host, on the host before a run reads it there that asks no relay, or before it is written.
    """
    good, kind = written(REGIONS), rng.choice(("on the way", "on the host", "before"))
    if kind == "before":
        what, regions = damaged_regions(REGIONS, rng)
        try:
            content = written(regions)
        except jinja2.UndefinedError as exc:  # it cannot even be written
            return what, str(exc)
        done = run_daemon(host.describe(content))
        return what, done["msg"] if done["failed"] else ""
    what, content, _ = rng.choice((flipped_bytes, truncated_bytes))(good, rng)
    if kind == "on the way":
        done = run_daemon(host.describe(content))
        return f"{kind}, {what}", done["msg"] if done["failed"] else ""
    host.file.write_bytes(content)
    try:
        derp_map(MESH, [], published(str(host.file)))
    except AnsibleFilterError as exc:
        return f"{kind}, {what}", str(exc)
    finally:
        host.file.write_bytes(good)
    return f"{kind}, {what}", ""


def test_no_damaged_limits_of_a_relay_become_active_and_it_goes_on_with_its_own(
    host: ProgramHost, relay: Derper, run_daemon: Run, say: Callable[[str], None]
) -> None:
    before, wrong = host.file.read_bytes(), []
    for number in share_of(LIMITS):
        rng = random.Random(f"{SEED}.limits.{number}")  # noqa: S311
        what, content, _ = damaged_limits(RATE, rng)
        done = run_daemon(host.describe(content))
        if not (done["failed"] and host.file.read_bytes() == before and relay.is_up()):
            wrong.append((number, what, done.get("msg", "it was taken")))
    say(f"damaged limits of a relay: {len(share_of(LIMITS))}, active {len(wrong)}")
    assert (wrong, host.started) == ([], 1)


def test_a_map_that_is_not_damaged_becomes_active(host: ProgramHost, coordinator: Headscale, run_daemon: Run) -> None:
    fewer = REGIONS[:1]
    done = run_daemon(host.describe(written(fewer)))
    assert (done["failed"], done["restarted"]) == (False, True)
    assert published(str(host.file)) == fewer
    assert list(coordinator.tells()) == [str(fewer[0]["regionid"])]


def test_limits_that_are_not_damaged_become_active(host: ProgramHost, relay: Derper, run_daemon: Run) -> None:
    done = run_daemon(host.describe(b'{"PerClientRateLimitBytesPerSec": 5}'))
    assert (done["failed"], done["reloaded"]) == (False, True)
    until = time.monotonic() + START
    while "rate config reloaded successfully" not in (host.root / "log").read_text():
        assert time.monotonic() < until, (host.root / "log").read_text()
        time.sleep(0.02)
    assert relay.is_up()
