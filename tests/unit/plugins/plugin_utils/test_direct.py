# SPDX-License-Identifier: MIT
"""Questions to a host without a module: what is sent, what runs there, and when a module must be asked after all."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
import types
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils import _host_info
from ansible_collections.wonder.mesh.plugins.module_utils._command import run_command
from ansible_collections.wonder.mesh.plugins.plugin_utils import _direct

PROGRAM = _direct.program("_host_info")


class Host:
    """This machine, as the host of a task; and an action to ask it with."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.pipelining = True
        self.before = ""  # what a login prints
        self.errors = ""
        self.action = t.cast("t.Any", types.SimpleNamespace())
        self.action._task = types.SimpleNamespace(delegate_to=None)
        self.action._templar = types.SimpleNamespace(template=lambda text: text)
        self.action._connection = types.SimpleNamespace(is_pipelining_enabled=lambda _wrap: self.pipelining)
        self.action._low_level_execute_command = self._execute

    def ask(self, sent: bytes = PROGRAM, **variables: t.Any) -> dict[str, t.Any] | None:
        return _direct._ask(self.action, sent, {}, {"ansible_python_interpreter": sys.executable, **variables})

    def _execute(self, command: str, in_data: bytes) -> dict[str, t.Any]:
        self.commands.append(command)
        done = subprocess.run(["sh", "-c", command], input=in_data, capture_output=True, check=False, timeout=60)
        self.errors = done.stderr.decode()
        return {"rc": done.returncode, "stdout": self.before + done.stdout.decode()}


@pytest.fixture
def host() -> Host:
    return Host()


def test_the_answer_is_the_one_of_the_module(host: Host) -> None:
    answer = host.ask()
    assert answer == json.loads(json.dumps(_host_info.answer(run_command, {})))
    assert answer["machine"] == platform.machine()


def test_it_runs_alone(host: Host) -> None:
    """Nothing of the user's Python, and no file on the host."""
    host.ask()
    assert [command.split(" -c ")[0] for command in host.commands] == [f"{sys.executable} -I -S"]


def test_what_a_login_prints_before_is_no_answer(host: Host) -> None:
    host.before = "Welcome to nas\n{}\n"
    answer = host.ask()
    assert answer is not None
    assert "machine" in answer


@pytest.mark.parametrize("interpreter", ["auto", "auto_silent"])
def test_no_call_is_spent_on_finding_python(host: Host, interpreter: str) -> None:
    assert host.ask(ansible_python_interpreter=interpreter) is not None
    assert len(host.commands) == 1


def test_without_pipelining_a_module_is_asked(host: Host) -> None:
    host.pipelining = False
    assert (host.ask(), host.commands) == (None, [])


def test_an_interpreter_that_is_no_path_is_left_to_the_module(host: Host) -> None:
    assert (host.ask(ansible_python_interpreter="/usr/bin/env python3; id"), host.commands) == (None, [])


def test_a_task_for_another_host_is_left_to_the_module(host: Host) -> None:
    host.action._task.delegate_to = "hub"
    assert (host.ask(), host.commands) == (None, [])


@pytest.mark.parametrize("interpreter", ["/nowhere/python3", "/bin/true"])
def test_what_fails_or_says_nothing_is_left_to_the_module(host: Host, interpreter: str) -> None:
    assert host.ask(ansible_python_interpreter=interpreter) is None
    assert len(host.commands) == 1


def test_who_asks_for_all_that_is_said_reads_no_stack_trace(host: Host) -> None:
    assert host.ask(_direct.program("_wireguard_host_info")) is None  # it wants arguments
    assert re.fullmatch(r"\w+Error: .*\n", host.errors)


def test_it_is_a_small_part_of_a_module() -> None:
    assert len(PROGRAM) < 40_000
