# SPDX-License-Identifier: MIT
"""``mesh_lock`` in real runs: a run holds its lock from the task on, until it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils._run_lock import FILE, take
from tests.unit.plugins.action.playbook import inventory, play

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK: dict[str, t.Any] = {
    "name": "Lock",
    "wonder.mesh.mesh_lock": {"directory": "{{ inventory_dir }}"},
    "run_once": True,
}
LOOK = {"name": "Look", "ansible.builtin.command": {"argv": ["cat", FILE], "chdir": "{{ inventory_dir }}"}}
HOSTS = inventory({"a": {}, "b": {}}, {}, {})


@pytest.fixture
def other(tmp_path: Path) -> Iterator[int]:
    """Another run that has the lock."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        take(str(tmp_path), process.pid)
        yield process.pid
        process.kill()


def test_a_run_that_comes_second_is_refused_and_told_who_is_first(tmp_path: Path, other: int) -> None:
    done = play(tmp_path, HOSTS, [LOCK, LOOK])
    assert done.returncode == 2
    assert f"another run works on this inventory: process {other} of" in " ".join(done.stdout.split())
    assert "TASK [Look]" not in done.stdout


def test_check_mode_does_not_mind(tmp_path: Path, other: int) -> None:
    assert other
    assert play(tmp_path, HOSTS, [LOCK], "--check").returncode == 0


def test_the_lock_is_that_of_the_whole_run(tmp_path: Path) -> None:
    """Its process is the parent of those that run tasks, and gone with the run."""
    done = play(tmp_path, HOSTS, [LOCK, LOCK, LOOK])
    assert done.returncode == 0, done.stdout
    pid = json.loads((tmp_path / FILE).read_text())["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_where_nothing_can_be_written_the_run_goes_on_with_a_warning(tmp_path: Path) -> None:
    nowhere = LOCK | {"wonder.mesh.mesh_lock": {"directory": "{{ inventory_dir }}/none"}}
    done = play(tmp_path, HOSTS, [nowhere])
    assert (done.returncode, "nothing keeps a second run away" in done.stdout + done.stderr) == (0, True)
