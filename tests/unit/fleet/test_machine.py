# SPDX-License-Identifier: MIT
"""What fleets change on the machine for all of them, and put back with the last one."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet import machine


@pytest.fixture
def limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine below a temporary directory; its limit's file."""
    (tmp_path / "netns").mkdir()
    (tmp_path / "limit").write_text("128\n", encoding="ascii")
    marks = tmp_path / "marks"
    monkeypatch.setattr(machine, "NETNS", tmp_path / "netns")
    monkeypatch.setattr(machine, "LIMIT", tmp_path / "limit")
    monkeypatch.setattr(machine, "MARKS", marks)
    monkeypatch.setattr(machine, "MADE_NETNS", marks / machine.MADE_NETNS.name)
    monkeypatch.setattr(machine, "OLD_LIMIT", marks / machine.OLD_LIMIT.name)
    return tmp_path / "limit"


def test_the_limit_is_raised_for_the_first_fleet_and_goes_back_with_the_last(limit: Path) -> None:
    machine.prepare()
    machine.prepare()
    (machine.NETNS / "wm123abc-hub").touch()
    machine.restore()
    assert limit.read_text(encoding="ascii") == "1024\n"
    (machine.NETNS / "wm123abc-hub").unlink()
    (machine.NETNS / "of-somebody-else").touch()
    machine.restore()
    assert limit.read_text(encoding="ascii") == "128\n"


def test_a_higher_limit_stays_as_it_is(limit: Path) -> None:
    limit.write_text("8192\n", encoding="ascii")
    machine.prepare()
    machine.restore()
    assert limit.read_text(encoding="ascii") == "8192\n"
    assert not machine.MARKS.exists()
