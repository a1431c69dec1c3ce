# SPDX-License-Identifier: MIT
"""Headscale v0.28 becomes the pinned one on a mesh that runs; when it does not start, v0.28 goes on as before."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs
from tests.fleet.world import ROOT, Fleet, Play, run

if t.TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
OLD = _programs.Program(
    "headscale", "0.28.0", HERE / "headscale-0.28", {"headscale": "github.com/juanfont/headscale/cmd/headscale"}, ""
)
SETUP = [f"playbooks/{name}.yml" for name in ("check", "coordinator", "gateways", "nodes")]
UPGRADE = SETUP[:2]
# v0.28 knows no grants yet.
POLICY = {
    "tagOwners": {tag: [] for tag in ("tag:node", "tag:gateway", "tag:node-hub", "tag:node-box")},
    "acls": [{"action": "accept", "src": ["tag:node"], "dst": ["tag:node:*"]}],
}
DATABASE = """
import sqlite3
c = sqlite3.connect("file:/var/lib/headscale/db.sqlite?mode=ro", uri=True)
for query in (
    "select name, sql from sqlite_master order by name",
    "select id from migrations order by id",
    "select id, machine_key, node_key, given_name, ipv4, tags from nodes order by id",
):
    print(c.execute(query).fetchall())
"""
KEYS = (
    "cd /var/lib/headscale && sha256sum noise_private.key derp_server_private.key && stat -c '%U %a %n' *.key db.sqlite"
)
# A start of anything but v0.28 works for five seconds, in which the database becomes a new one, and then fails.
FAILS = """[Service]
ExecStartPost=/bin/sh -c "/usr/local/bin/headscale version | grep -q v0.28 || { sleep 5; exit 1; }"
"""
FOLDER = "/etc/systemd/system/headscale.service.d"


class Coordinator(t.NamedTuple):
    """What makes a Headscale the one that it is."""

    program: str
    keys: str
    database: str


def coordinator(mesh: Fleet) -> Coordinator:
    def ask(command: str) -> str:
        done = run(mesh.host("hub"), command)
        assert done.rc == 0
        return str(done.stdout)

    return Coordinator(ask("sha256sum /usr/local/bin/headscale"), ask(KEYS), ask(f"python3 -c '{DATABASE}'"))


def connected(mesh: Fleet, seconds: float = 60) -> list[str]:
    """The nodes that the coordinator has a connection to, once it has all, or after that time."""
    until = time.monotonic() + seconds
    while True:
        listed = json.loads(run(mesh.host("hub"), "timeout 10 headscale nodes list --output json").stdout or "[]")
        online = sorted(node["given_name"] for node in listed or [] if node.get("online"))
        if len(online) == 2 or time.monotonic() > until:
            return online
        time.sleep(1)


@pytest.fixture(scope="module")
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, t.Any]:
    """Variables that make v0.28 the coordinator."""
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        binary = OLD.build("amd64", print)["headscale"]
    path = tmp_path_factory.mktemp("old") / "headscale"
    path.write_bytes(gzip.decompress(binary.archive.read_bytes()))
    source = {"file": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    return {"headscale_program_source": {"amd64": {"headscale": source}}, "headscale_policy": POLICY}


@pytest.fixture(scope="module")
def mesh(request: pytest.FixtureRequest, old: dict[str, t.Any]) -> Iterator[Fleet]:
    """A mesh whose coordinator is v0.28."""
    fleet = Fleet(str(HERE / "upgrade.yml"))
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        command = [sys.executable, "-m", "fleet", "up", "--topology", fleet.topology]
        subprocess.run(command, cwd=ROOT, check=True, timeout=600, stdin=subprocess.DEVNULL)
    try:
        assert fleet.play(*SETUP, variables=old).status == 0
        yield fleet
    finally:
        fleet.down()


@pytest.fixture(scope="module")
def before(mesh: Fleet) -> Coordinator:
    assert connected(mesh) == ["box", "hub"]
    assert "v0.28.0" in run(mesh.host("hub"), "headscale version").stdout
    return coordinator(mesh)


@pytest.fixture(scope="module")
def failed(mesh: Fleet, before: Coordinator) -> Play:
    """An upgrade in which the new version does not come up."""
    make = f"mkdir -p {FOLDER} && printf %s '{FAILS}' >{FOLDER}/test.conf && systemctl daemon-reload"
    assert run(mesh.host("hub"), make).rc == 0
    play = mesh.play(*UPGRADE)
    assert run(mesh.host("hub"), f"rm -r {FOLDER} && systemctl daemon-reload").rc == 0
    return play


@pytest.fixture(scope="module")
def upgraded(mesh: Fleet, failed: Play) -> Play:
    return mesh.play("site.yml")


def test_a_start_that_fails_is_told(failed: Play) -> None:
    assert "The previous state was put back, and headscale runs with it." in " ".join(failed.output.split())
    assert failed.status == 2


def test_the_start_that_fails_is_one_of_the_new_version(mesh: Fleet, failed: Play) -> None:
    journal = run(mesh.host("hub"), "journalctl --unit headscale --no-pager --output cat").stdout
    assert f"starting headscale commit=unknown version=v{_programs.find('headscale').version}" in journal


def test_a_start_that_fails_brings_program_keys_and_database_back(
    mesh: Fleet, before: Coordinator, failed: Play
) -> None:
    assert coordinator(mesh) == before


def test_after_a_start_that_fails_all_nodes_are_connected(mesh: Fleet, failed: Play) -> None:
    assert connected(mesh) == ["box", "hub"]


def test_the_next_run_upgrades_and_proves_the_mesh(mesh: Fleet, upgraded: Play) -> None:
    assert f"v{_programs.find('headscale').version}" in run(mesh.host("hub"), "headscale version").stdout
    assert (upgraded.status, mesh.result["ok"]) == (0, True)


def test_the_upgrade_changes_the_database(mesh: Fleet, before: Coordinator, upgraded: Play) -> None:
    """So an old program beside it would be lost, and what was put back above was worth putting back."""
    assert ("database_versions" in before.database, "database_versions" in coordinator(mesh).database) == (False, True)


def test_after_the_upgrade_keys_and_nodes_are_the_same(mesh: Fleet, before: Coordinator, upgraded: Play) -> None:
    after = coordinator(mesh)
    assert after.keys == before.keys
    assert after.database.splitlines()[2] == before.database.splitlines()[2]


def test_after_the_upgrade_all_nodes_are_connected(mesh: Fleet, upgraded: Play) -> None:
    assert connected(mesh) == ["box", "hub"]
