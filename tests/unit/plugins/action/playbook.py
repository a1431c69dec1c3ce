# SPDX-License-Identifier: MIT

"""Runs tasks with the real ansible-playbook, on hosts that are this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[4]


def play(
    directory: Path, inventory: dict[str, t.Any], tasks: list[dict[str, t.Any]], *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the tasks on all hosts; the directory gets the files and is where relative paths begin.

    Whatever uses what ansible-core will take away fails.
    """
    (directory / "hosts.yml").write_text(yaml.safe_dump(inventory))
    book = [{"name": "Test", "hosts": "all", "gather_facts": False, "tasks": tasks}]
    (directory / "play.yml").write_text(yaml.safe_dump(book))
    run = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", "hosts.yml", "play.yml", *arguments],
        cwd=directory,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
            "ANSIBLE_DEPRECATION_WARNINGS": "true",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "DEPRECAT" not in run.stdout + run.stderr, run.stderr
    return run


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


def saved(path: Path) -> t.Any:
    return json.loads(path.read_text())
