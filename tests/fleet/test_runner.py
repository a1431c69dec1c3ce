# SPDX-License-Identifier: MIT
"""The private data dir and examples/provision.py on real hosts."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import typing as t

import jsonschema
import pytest
import yaml
from world import PLAY_SECONDS, ROOT, read_json, run

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from world import Fleet

KEPT, BROKEN, UNREACHABLE, CANCELLED, BUSY = 0, 2, 4, 6, 7
SECONDS_TO_CANCEL = 5
PIPE = (
    "ansible-runner transmit {there} -p verify.yml"
    " | ansible-runner worker --private-data-dir {away}"
    " | ansible-runner process {back}"
)


def command(one_vps: Fleet, *arguments: str, inventory: Path | None = None) -> list[str]:
    program = [sys.executable, str(ROOT / "examples/provision.py")]
    return [*program, "--inventory", str(inventory or one_vps.inventory), *arguments]


def provision(one_vps: Fleet, *arguments: str, inventory: Path | None = None) -> tuple[int, str]:
    done = subprocess.run(
        command(one_vps, *arguments, inventory=inventory),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PLAY_SECONDS,
        check=False,
    )
    print(done.stdout)
    return done.returncode, done.stdout


def changed(one_vps: Fleet, folder: Path, change: dict[str, dict[str, t.Any]]) -> Path:
    """The inventory with other variables of some hosts; its proof lies beside it."""
    inventory = yaml.safe_load(one_vps.inventory.read_text(encoding="utf-8"))
    for host, variables in change.items():
        inventory["all"]["hosts"][host] |= variables
    path = folder / "hosts.yml"
    path.write_text(yaml.safe_dump(inventory), encoding="utf-8")
    return path


@contextlib.contextmanager
def at_work(one_vps: Fleet, until: str) -> Iterator[subprocess.Popen[str]]:
    """A run of the site that has come to this line."""
    with subprocess.Popen(command(one_vps), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            for line in process.stdout:
                if until in line:
                    break
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=60)


class Interrupted(t.NamedTuple):
    second: tuple[int, str]  # a run that came while the first was at work: its status and what it said
    first: int  # the status of the first, which was cancelled
    seconds: float  # that took
    again: tuple[int, str]  # the run after that


@pytest.fixture(scope="module")
def interrupted(one_vps: Fleet) -> Interrupted:
    with at_work(one_vps, "Run tailscaled ...") as process:
        second = provision(one_vps, "--playbook", "verify.yml")
        since = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        seconds = time.monotonic() - since
    return Interrupted(second, process.returncode, seconds, provision(one_vps))


def test_a_second_run_is_refused_and_told_who_is_first(interrupted: Interrupted) -> None:
    status, said = interrupted.second
    assert (status, "another run works on this inventory: process" in said) == (BUSY, True)


def test_a_run_is_cancelled_within_five_seconds(interrupted: Interrupted) -> None:
    assert interrupted.first == CANCELLED
    assert interrupted.seconds < SECONDS_TO_CANCEL


def test_the_run_after_a_cancelled_one_keeps_every_promise(interrupted: Interrupted) -> None:
    status, said = interrupted.again
    assert (status, "6 of 6 pairs as promised; 0 problems" in said) == (KEPT, True)


def test_the_run_shows_what_hosts_do(interrupted: Interrupted) -> None:
    assert " s    box-1: Measure what this host reaches ..." in interrupted.again[1]


def test_an_unreachable_host_has_a_status_of_its_own(one_vps: Fleet, tmp_path: Path) -> None:
    inventory = changed(one_vps, tmp_path, {"box-2": {"ansible_host": "nowhere"}})
    status, said = provision(one_vps, "--playbook", "verify.yml", inventory=inventory)
    assert (status, "box-2: Measure what this host reaches: FAILED" in said) == (UNREACHABLE, True)


def test_a_broken_promise_has_a_status_of_its_own(one_vps: Fleet, tmp_path: Path) -> None:
    """Nobody has set up what this inventory promises."""
    service = {"name": "ghost", "host": "hello.wm.test", "path": "/ghost", "port": 8000}
    inventory = changed(one_vps, tmp_path, {"box-2": {"mesh_services": [service]}})
    status, said = provision(one_vps, "--playbook", "verify.yml", inventory=inventory)
    assert (status, "ghost" in said) == (BROKEN, True)


@pytest.fixture(scope="module")
def sent(one_vps: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifacts of a run that was sent to a worker with all it needs, the collection included."""
    folder = tmp_path_factory.mktemp("sent")
    there = shutil.copytree(ROOT / "runner", folder / "there", ignore=shutil.ignore_patterns("artifacts"))
    shutil.copy(one_vps.inventory, there / "inventory" / "hosts.yml")
    place = there / "project" / "collections"
    own = {**os.environ, "ANSIBLE_HOME": str(folder / "home"), "ANSIBLE_COLLECTIONS_PATH": str(place)}
    for step in (f"build {ROOT} --output-path .", f"install --offline --collections-path {place} ./*.tar.gz"):
        words = f"ansible-galaxy collection {step}"
        subprocess.run(words, shell=True, cwd=folder, env=own, check=True, capture_output=True, timeout=120)  # noqa: S602
    pipe = PIPE.format(there=there, away=folder / "away", back=folder / "back")
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", pipe],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PLAY_SECONDS,
        check=False,
    )
    print(done.stdout, done.stderr)
    return folder / "back" / "artifacts"


def test_a_run_that_was_sent_away_succeeds(sent: Path) -> None:
    assert (sent / "status").read_text() == "successful"


def test_the_result_of_a_run_that_was_sent_away_comes_back(sent: Path) -> None:
    events = [json.loads(path.read_text()) for path in (sent / "job_events").glob("*.json")]
    (end,) = (each for each in events if each["event"] == "playbook_on_stats")
    result = end["event_data"]["artifact_data"]["wonder_mesh"]
    jsonschema.validate(result, read_json(ROOT / "docs/result.schema.json"))
    assert result["ok"]


def test_hosts_are_reachable_after_all_this(one_vps: Fleet) -> None:
    assert run(one_vps.host("box-1"), "timeout 20 tailscale status --peers=false").rc == 0
