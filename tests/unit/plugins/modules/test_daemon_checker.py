# SPDX-License-Identifier: MIT
"""What the checker of ``daemon`` is shown, and which program is the checker, when owners or modes have drifted."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from tests.unit.plugins.modules.daemon_host import Host, Run

NEW = "config 2\n"


@pytest.fixture
def installed(host: Host, run_daemon: Run) -> Host:
    assert not run_daemon(host.wanted())["failed"]
    host.judge = b""
    return host


def test_a_program_that_cannot_be_executed_now_judges_as_the_staged_one(installed: Host, run_daemon: Run) -> None:
    (installed.bin / "demo").chmod(0o444)
    result = run_daemon(installed.wanted(config=NEW))
    assert (result["failed"], installed.judge, installed.config.read_text()) == (False, b"program 1", NEW)


def test_a_check_foretells_what_a_program_that_cannot_be_executed_now_will_judge(
    installed: Host, run_daemon: Run
) -> None:
    (installed.bin / "demo").chmod(0o444)
    result = run_daemon(installed.wanted(config=NEW), check_mode=True)
    assert (result["failed"], result["changed"], installed.judge) == (False, True, b"")


@pytest.mark.parametrize("check", [False, True])
def test_the_checker_sees_files_with_the_modes_that_they_will_have(
    installed: Host, run_daemon: Run, check: bool
) -> None:
    (installed.etc / "demo" / "extra").chmod(0o600)
    result = run_daemon(installed.wanted(config=NEW), check_mode=check)
    assert (result["failed"], installed.judged_modes["extra"], installed.judged_modes["config"]) == (
        False,
        0o644,
        0o640,
    )
