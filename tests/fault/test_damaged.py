# SPDX-License-Identifier: MIT
"""Damaged configurations of the gateway and of the policy: none becomes active, and what runs goes on serving.

It is the modules of the roles that are told to put them there: ``daemon``, with a real Caddy as its checker and as the
daemon, and ``headscale_policy``, with a real Headscale.
"""

from __future__ import annotations

import collections
import copy
import gzip
import hashlib
import json
import random
import typing as t
from pathlib import Path

import pytest

from fleet.authority import Authority
from tests.fault.conftest import SEED, share_of
from tests.fault.damage import damaged, damaged_policy
from tests.programs.gateway import HEALTH, Asked, Gateway, Program, free_port
from tests.programs.test_policy import NAMES, POLICY, control, run
from tests.programs.test_policy import Run as Policies
from tests.unit.conftest import run_module
from tests.unit.plugins.modules.conftest import host, run_daemon
from tests.unit.plugins.modules.daemon_host import Host
from tests.unit.plugins.plugin_utils.mesh_world import model
from tests.unit.plugins.plugin_utils.test_service_access import HASH, nas

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.unit.plugins.modules.daemon_host import Run

__all__ = ["control", "host", "run", "run_daemon", "run_module"]

GATEWAYS, POLICIES = 220, 130  # of all; the rest are of relays, in test_damaged_relays.py
NAME = "blog.example.com"


class GatewayHost(Host):
    """A host whose daemon and checker are a real Caddy."""

    gateway: Gateway
    started = 0

    def describe(self, text: bytes, sent: bytes | None = None) -> dict[str, t.Any]:
        """The module's arguments for this configuration; ``sent`` is what arrives of it."""
        digest, archive = hashlib.sha256(text).hexdigest(), self.root.parent / "sent.gz"
        archive.write_bytes(gzip.compress(text if sent is None else sent))
        place = self.gateway.place
        return {
            "name": "caddy",
            "directories": [{"path": str(place), "mode": "0750"}, {"path": str(self.data), "data": True}],
            "files": [
                {"path": str(self.gateway.config), "sha256": digest, "mode": "0640", "on_change": "reload"},
                {"path": str(self.units / "caddy.service"), "content": "[Service]\n"},
            ],
            "units": ["caddy.service"],
            "check": ["caddy", "validate"],
            "ready": {"socket": "/run/caddy/admin.sock"},
            "uploads": {digest: str(archive)},
        }

    def _check(self, argv: list[str]) -> tuple[int, str]:
        """What the sandbox would show it: the copies, at the places of the real ones."""
        mounts = [each.split("=", 2)[2] for each in argv if each.startswith("--property=Bind")]
        view = {real: copy for copy, real in (each.split(":") for each in mounts)}
        place = str(self.gateway.place)
        config = Path(view[place]) / self.gateway.config.name
        config.write_bytes(config.read_bytes().replace(place.encode(), view[place].encode()))
        done = self.gateway.run("validate", config=config)
        return done.returncode, done.stdout

    def _reload(self, _name: str) -> tuple[int, str]:
        return self.gateway.reload().returncode, ""

    def _restart(self, name: str) -> tuple[int, str]:
        """It runs already; more than once would cut streams."""
        self.started += 1
        self.unit(name).active, self.unit(name).loaded = "active", (self.units / name).read_bytes()
        return 0, ""

    def serves(self) -> bool:
        return self.gateway.ask(NAME).status == 200


HOST = GatewayHost


@pytest.fixture
def good(host: GatewayHost, run_daemon: Run, tmp_path: Path) -> Iterator[t.Any]:
    """The configuration of a gateway with services of several kinds, which ``daemon`` has put there and which runs."""
    place = host.etc / "caddy"
    place.mkdir()
    (tmp_path / "clients.pem").write_text(Authority("clients").certificate)
    host.gateway = Gateway(place, Authority("servers"), [NAME], work=tmp_path)
    with Program(Asked) as program:
        here = {"host": NAME, "port": program.port, "health": HEALTH}
        services: list[dict[str, t.Any]] = [
            {"name": "blog", **here},
            {"name": "near", "path": "/near", "allow": ["192.0.2.0/24"], **here},
            {"name": "auth", "path": "/auth", "basic_auth": ["alice"], **here},
            {"name": "login", "path": "/login", "forward_auth": {"url": "http://127.0.0.1:9/"}, **here},
            {"name": "git", "protocol": "tls", "host": "git.example.com", "port": 8443},
            {"name": "db", "protocol": "tcp", "port": 5432, "public_port": free_port()},
        ]
        mesh = model(**nas(*services, users={"alice": HASH}), everywhere={"mesh_dns_check": "warn"})
        config = host.gateway.configure(mesh, {"alice": HASH})
        host.gateway.write(config)
        with host.gateway.running():
            done = run_daemon(host.describe(json.dumps(config).encode()))
            assert not done["failed"], done["msg"]
            yield config


def another(config: t.Any, number: int) -> t.Any:
    """One as good, which differs."""
    copied = copy.deepcopy(config)
    copied["apps"]["http"]["servers"]["https"]["idle_timeout"] = f"{60 + number}s"
    return copied


def test_no_damaged_configuration_of_a_gateway_becomes_active_and_what_runs_serves_through_each(
    host: GatewayHost, good: t.Any, run_daemon: Run, say: Callable[[str], None]
) -> None:
    before, wrong, kinds = host.gateway.config.read_bytes(), [], collections.Counter[str]()
    for number in share_of(GATEWAYS):
        rng = random.Random(f"{SEED}.{number}")  # noqa: S311
        wanted = another(good, number)
        what, text, arrives = damaged(wanted, rng)
        sent = text if arrives else json.dumps(wanted).encode()
        done = run_daemon(host.describe(sent, None if arrives else text))
        kept = host.gateway.config.read_bytes() == before
        if not (done["failed"] and kept and host.serves()):
            wrong.append((number, what, done.get("msg", "it was taken"), kept))
        kinds[what.partition(" at ")[0].partition(" after ")[0]] += 1
    say(f"damaged gateways: {sum(kinds.values())}, active {len(wrong)} ({dict(sorted(kinds.items()))})")
    assert (wrong, host.started) == ([], 1)


def test_one_that_is_not_damaged_becomes_active(host: GatewayHost, good: t.Any, run_daemon: Run) -> None:
    wanted = another(good, 0)
    done = run_daemon(host.describe(json.dumps(wanted).encode()))
    assert (done["failed"], done["reloaded"]) == (False, True)
    assert json.loads(host.gateway.config.read_bytes()) == wanted
    assert host.serves()


def test_no_damaged_policy_becomes_active_and_headscale_goes_on_with_its_own(
    run: Policies, say: Callable[[str], None]
) -> None:
    run.join(*NAMES)
    run.settle()
    before, in_force, wrong = run.control.policy(), run.control.in_force(), []
    numbers = share_of(POLICIES)
    for number in numbers:
        rng = random.Random(f"{SEED}.policy.{number}")  # noqa: S311
        what, policy = damaged_policy(POLICY, rng)
        done = run.set_policy(policy)
        kept = (run.control.policy(), run.control.in_force()) == (before, in_force)
        if not (done["failed"] and kept):
            wrong.append((number, what, done.get("msg", "it was taken"), kept))
            run.set_policy()
            before, in_force = run.control.policy(), run.control.in_force()
    say(f"damaged policies: {len(numbers)}, active {len(wrong)}")
    assert wrong == [], "\n".join(map(str, wrong))
