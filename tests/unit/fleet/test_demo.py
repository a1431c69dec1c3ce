# SPDX-License-Identifier: MIT
"""What differs between the demo on Linux as root, as a person, and on macOS."""

from __future__ import annotations

import configparser
import os
import sys
import typing as t

import pytest

from fleet import demo, provider, shell
from fleet.console import Console
from fleet.state import CHECKOUT, State

if t.TYPE_CHECKING:
    from pathlib import Path

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


@pytest.mark.parametrize(("own", "shown"), [("", "wonder.mesh.progress"), ("minimal", "minimal")])
def test_the_demo_shows_progress_unless_the_person_chose_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, shown: str
) -> None:
    program = tmp_path / "ansible-playbook"
    program.write_text(f'#!/bin/sh\necho "$ANSIBLE_STDOUT_CALLBACK" >{tmp_path}/shown\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.delenv("ANSIBLE_STDOUT_CALLBACK", raising=False)
    if own:
        monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", own)
    assert demo.play("site.yml", State("wm123abc", tmp_path)) == 0
    assert (tmp_path / "shown").read_text() == f"{shown}\n"


def test_ansible_cfg_offers_what_the_demo_shows() -> None:
    """As a line that a person only uncomments."""
    text = (CHECKOUT / "ansible.cfg").read_text(encoding="utf-8")
    settings = configparser.ConfigParser(interpolation=None)
    settings.read_string(text.replace("# stdout_callback", "stdout_callback"))
    assert settings["defaults"]["stdout_callback"] == "wonder.mesh.progress"
