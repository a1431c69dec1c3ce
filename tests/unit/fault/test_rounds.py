# SPDX-License-Identifier: MIT
"""Which rounds and drifts a seed chooses, and how two looks at a host are compared."""

from __future__ import annotations

import random
import subprocess
import typing as t

import pytest

from tests.fault import drifts
from tests.fault.ground import moved, restored
from tests.fault.rounds import DRIFTS, ROUNDS, seeds

GROUPS = {"coordinator": ["vps"], "gateways": ["vps"], "nodes": ["box-1", "box-2", "vps"]}
INVENTORY = {"all": {"children": {name: {"hosts": dict.fromkeys(hosts)} for name, hosts in GROUPS.items()}}}


def chosen(seed: str) -> list[drifts.Drift]:
    return drifts.choose(random.Random(seed), INVENTORY, DRIFTS)  # noqa: S311


def look(**changes: t.Any) -> dict[str, t.Any]:
    seen: dict[str, t.Any] = {
        "files": {"/etc/x": ["0o100644", 0, 0, 1, "abc"], "/var/lib/wonder-mesh/y": ["0o100600", 0, 0, 1, "def"]},
        "units": {"caddy.service": ["ActiveState=active", "MainPID=7"]},
        "policy": "{}",
    }
    return {"edge": seen | changes}


@pytest.mark.parametrize(("share", "number"), [(0.1, 2), (1.0, ROUNDS), (0.0, 1)])
def test_a_share_is_so_many_rounds(share: float, number: int) -> None:
    assert len(set(seeds("1", share))) == number


def test_a_tenth_has_twenty_cases_and_all_have_two_hundred() -> None:
    assert (len(seeds("1", 0.1)) * DRIFTS, ROUNDS * DRIFTS) == (20, 200)


def test_a_seed_chooses_the_same_again_and_another_one_others() -> None:
    assert (seeds("1", 0.1), chosen("1")) == (seeds("1", 0.1), chosen("1"))
    assert chosen("1") != chosen("2")


def test_drifts_of_a_round_do_not_meet() -> None:
    for seed in map(str, range(50)):
        places = [(each.task, *sorted(each.must | each.may), each.host) for each in chosen(seed)]
        assert len(set(places)) == DRIFTS


def test_drifts_that_ask_a_daemon_come_before_those_that_stop_it() -> None:
    for seed in map(str, range(50)):
        turns = [each.task in (drifts.POLICY, drifts.REGISTRY, drifts.NODE) for each in chosen(seed)]
        assert turns == sorted(turns, reverse=True)


def test_two_hundred_cases_hold_every_kind() -> None:
    names = " ".join(each.name for seed in seeds("1", 1.0) for each in chosen(seed))
    kinds = ["chmod", "chown", "deleted", "stop", "disable", "policy", "tailscale set", "nodes rename", "nodes tag"]
    kinds += ["by systemd", "applied.json", "a flipped byte", "no text"]
    assert [kind for kind in kinds if kind not in names] == []


def test_every_script_is_one_that_bash_can_read() -> None:
    for each in [each for seed in map(str, range(30)) for each in chosen(seed)]:
        subprocess.run(["bash", "-n"], input=each.script, text=True, check=True, timeout=10)


def test_a_new_byte_a_new_mode_and_a_new_file_have_moved() -> None:
    files = look()["edge"]["files"]
    changed = files | {"/etc/x": ["0o100600", 0, 0, 1, "abc"], "/etc/new": ["0o100644", 0, 0, 1, "abc"]}
    assert len(moved(look(), look(files=changed))) == 2
    assert moved(look(), look()) == []


def test_a_repair_need_not_bring_back_times_and_process_numbers() -> None:
    files = {"/etc/x": ["0o100644", 0, 0, 2, "abc"], "/var/lib/wonder-mesh/y": ["0o100600", 0, 0, 3, "new"]}
    later = look(files=files, units={"caddy.service": ["ActiveState=active", "MainPID=8"]})
    assert moved(restored(look()), restored(later)) == []
    assert len(moved(look(), later)) == 3


@pytest.mark.parametrize(
    "changes",
    [{"policy": "[]"}, {"units": {"caddy.service": ["ActiveState=failed"]}}, {"files": {}}],
)
def test_a_repair_must_bring_back_all_else(changes: dict[str, t.Any]) -> None:
    assert moved(restored(look()), restored(look(**changes))) != []
