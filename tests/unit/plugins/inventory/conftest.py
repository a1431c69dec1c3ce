# SPDX-License-Identifier: MIT
"""Inventory files, and what Ansible reads in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

if t.TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[4]
SETTINGS = {
    "LC_ALL": "C.UTF-8",
    "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
    "ANSIBLE_INVENTORY_UNPARSED_FAILED": "true",
    "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
    "ANSIBLE_DEPRECATION_WARNINGS": "true",
}


class Inventory:
    """A directory for inventory files; ``home`` is all that the programs know of the person at the keyboard."""

    def __init__(self, home: Path, asker: subprocess.Popen[str]) -> None:
        self.home, self._asker = home, asker
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), **SETTINGS}

    def ask(self, name: str, text: str, *, flush: bool = False) -> dict[str, t.Any]:
        """As asker.py answers."""
        file = self.home / name
        file.write_text(text, encoding="utf-8")
        assert self._asker.stdin
        assert self._asker.stdout
        question = {"file": str(file), "environment": self.environment, "flush": flush}
        self._asker.stdin.write(json.dumps(question) + "\n")
        self._asker.stdin.flush()
        answer: dict[str, t.Any] = json.loads(self._asker.stdout.readline())
        answer["said"] = " ".join(answer["said"].split())
        assert "DEPRECAT" not in answer["said"]
        return answer

    def read(self, name: str, text: str) -> dict[str, t.Any]:
        answer = self.ask(name, text)
        assert not answer["failed"], answer["said"]
        return answer

    def hosts(self, name: str, text: str) -> dict[str, dict[str, t.Any]]:
        """The variables of each host."""
        return t.cast("dict[str, dict[str, t.Any]]", self.read(name, text)["hosts"])

    def groups(self, name: str, text: str) -> dict[str, list[str]]:
        """The hosts of each group, sorted."""
        return {group: sorted(hosts) for group, hosts in self.read(name, text)["groups"].items()}

    def refusal(self, name: str, text: str) -> str:
        """What is said, in one line."""
        answer = self.ask(name, text)
        assert answer["failed"], answer
        return t.cast("str", answer["said"])

    def graph(self, name: str, text: str) -> str:
        """What ansible-inventory shows."""
        (self.home / name).write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "ansible", "inventory", "-i", name, "--graph"]
        return subprocess.run(
            command, cwd=self.home, env=self.environment, capture_output=True, text=True, timeout=60, check=True
        ).stdout


@pytest.fixture(scope="session")
def asker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(Path(__file__).with_name("asker.py"))]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path_factory.mktemp("home")), **SETTINGS}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin
        process.stdin.close()


@pytest.fixture
def inventory(tmp_path: Path, asker: subprocess.Popen[str]) -> Inventory:
    return Inventory(tmp_path, asker)
