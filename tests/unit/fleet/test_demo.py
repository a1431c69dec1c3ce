# SPDX-License-Identifier: MIT
"""What differs between the demo on Linux as root, as a person, and on macOS."""

from __future__ import annotations

import os
import sys

import pytest

from fleet import demo, provider, shell
from fleet.console import Console

MAC = provider.TOPOLOGIES["lima"]


@pytest.mark.parametrize(
    ("system", "maker", "topology", "called"),
    [
        ("linux", "nspawn", "demo", "./demo.sh down"),
        ("linux", "nspawn", "one-vps", "./demo.sh down --topology one-vps"),
        ("linux", "lima", MAC, "./demo.sh down --provider lima"),
        ("darwin", "lima", MAC, "./demo.sh down"),
        ("darwin", "lima", "./two.yml", "./demo.sh down --topology ./two.yml"),
    ],
)
def test_the_next_steps_are_the_commands_that_reach_this_fleet(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    system: str,
    maker: str,
    topology: str,
    called: str,
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    demo._next_steps(Console(), maker, topology)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "down" in line]
    assert " ".join(line.split()) == f"{called} remove the fleet; nothing stays"


@pytest.mark.parametrize(
    ("system", "user", "first"),
    [
        ("linux", 0, "setpriv --pdeathsig KILL unshare"),
        ("linux", 1000, "setpriv --pdeathsig TERM"),
        ("darwin", 501, ""),
    ],
)
def test_a_program_is_contained_as_far_as_the_system_lets_us(
    monkeypatch: pytest.MonkeyPatch, system: str, user: int, first: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert " ".join(shell.contained()[:4]) == first
