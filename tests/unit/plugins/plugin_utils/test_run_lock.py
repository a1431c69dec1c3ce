# SPDX-License-Identifier: MIT
"""One run at a time works on an inventory, and a run that is gone holds nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils._run_lock import FILE, take

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A run of somebody else: some process that goes on."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_the_first_run_gets_it(tmp_path: Path) -> None:
    assert take(str(tmp_path), os.getpid()) is None


def test_the_second_run_is_told_who_has_it(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    take(str(tmp_path), other.pid)
    holder = take(str(tmp_path), os.getpid())
    assert holder is not None
    assert (holder.pid, holder.user == "", holder.since == "") == (other.pid, False, False)


def test_the_same_run_may_ask_again(tmp_path: Path) -> None:
    take(str(tmp_path), os.getpid())
    assert take(str(tmp_path), os.getpid()) is None


def test_a_run_that_was_killed_holds_nothing(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    take(str(tmp_path), other.pid)
    other.kill()
    other.wait()
    assert take(str(tmp_path), os.getpid()) is None


def test_a_run_of_which_only_the_exit_status_is_left_holds_nothing(
    tmp_path: Path, other: subprocess.Popen[bytes]
) -> None:
    take(str(tmp_path), other.pid)
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert take(str(tmp_path), os.getpid()) is None


def test_a_process_that_got_the_same_number_later_holds_nothing(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    take(str(tmp_path), other.pid)
    file = tmp_path / FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | {"told": "7"}))
    assert take(str(tmp_path), os.getpid()) is None


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"pid": 1}'])
def test_a_file_without_sense_holds_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert take(str(tmp_path), os.getpid()) is None


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        take(str(tmp_path / "none"), os.getpid())
