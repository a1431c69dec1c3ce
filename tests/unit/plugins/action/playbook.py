# SPDX-License-Identifier: MIT

"""Runs tasks with the real ansible-playbook, on hosts that are this machine."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[3]


class First(t.NamedTuple):
    """A run that several tests look at: where it was, and what it said."""

    directory: Path
    done: subprocess.CompletedProcess[str]

    def copy(self, to: Path) -> Path:
        """What it left, for a test that goes on from there."""
        return Path(shutil.copytree(self.directory, to / "copy"))


def play(
    directory: Path, inventory: dict[str, t.Any], tasks: list[dict[str, t.Any]], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run the tasks on all hosts; the directory gets the files and is where relative paths begin.

    Whatever uses what ansible-core will take away fails.
    """
    (directory / "hosts.yml").write_text(yaml.safe_dump(inventory))
    book = [{"name": "Test", "hosts": "all", "gather_facts": False, "tasks": tasks}]
    (directory / "play.yml").write_text(yaml.safe_dump(book))
    order = {"directory": str(directory), "arguments": ["-i", "hosts.yml", "play.yml", *arguments]}
    process = starter()
    assert process.stdin
    assert process.stdout
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()
    run = subprocess.CompletedProcess(args=order["arguments"], **json.loads(process.stdout.readline()))
    assert "DEPRECAT" not in run.stdout + run.stderr, run.stderr
    return run


@functools.cache
def starter() -> subprocess.Popen[str]:
    """starter.py, which ends with this process; its plays have a home of their own."""
    home = tempfile.TemporaryDirectory()
    process = subprocess.Popen(
        [sys.executable, str(HERE / "starter.py")],
        env={
            "PATH": os.environ["PATH"],
            "HOME": home.name,
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_ACTION_PLUGINS": str(HERE / "saving"),
            "ANSIBLE_DEPRECATION_WARNINGS": "true",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(home.cleanup)
    atexit.register(process.communicate)
    return process


def inventory(
    hosts: dict[str, dict[str, t.Any]], groups: dict[str, list[str]], everywhere: dict[str, t.Any]
) -> dict[str, t.Any]:
    """All hosts answer without any connection, and these variables go where they belong."""
    return {
        "all": {
            "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, **everywhere},
            "hosts": hosts,
            "children": {group: {"hosts": dict.fromkeys(members)} for group, members in groups.items()},
        }
    }


def saving(value: str) -> dict[str, t.Any]:
    """A task that writes the value, which may be an expression, to out.json beside the playbook, also in check mode."""
    return {"name": "Save", "save": {"value": value}, "run_once": True}


def saved(path: Path) -> t.Any:
    return json.loads(path.read_text())
