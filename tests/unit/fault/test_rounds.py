# SPDX-License-Identifier: MIT
"""Which rounds and drifts a seed chooses, and how two looks at a host are compared."""

from __future__ import annotations

import random
import subprocess
import typing as t

import pytest

from tests.fault import drifts
from tests.fault.ground import moved, restored
from tests.fault.mesh_drifts import all_slots
from tests.fault.rounds import CASES, DRIFTS, LEAST, choose, seeds

GROUPS = {"coordinator": ["vps"], "gateways": ["vps"], "nodes": ["box-1", "box-2", "vps"]}
HOSTS = {"vps": {}, "box-1": {}, "box-2": {"tailscaled_tun": False}}
INVENTORY = {
    "all": {"hosts": HOSTS, "children": {name: {"hosts": dict.fromkeys(hosts)} for name, hosts in GROUPS.items()}}
}


def slot(place: str, *, host: str = "vps", gone: bool = False) -> drifts.Slot:
    return drifts.Slot(host, place, lambda _rng: drifts.Drift(place, host, drifts.CADDY, f"rm {place}"), gone)


def look(**changes: t.Any) -> dict[str, t.Any]:
    seen: dict[str, t.Any] = {
        "files": {"/etc/x": ["0o100644", 0, 0, 1, "abc"], "/var/lib/wonder-mesh/y": ["0o100600", 0, 0, 1, "def"]},
        "units": {"caddy.service": ["ActiveState=active", "MainPID=7"]},
        "policy": "{}",
    }
    return {"edge": seen | changes}


@pytest.mark.parametrize(("share", "cases"), [(1.0, 1000), (0.5, 500), (0.1, 200), (0.0, 200)])
def test_a_share_is_so_many_cases_and_two_hundred_at_least(share: float, cases: int) -> None:
    assert len(set(seeds("1", share))) * DRIFTS == cases
    assert (CASES, LEAST) == (1000, 200)


def test_a_seed_chooses_the_same_again_and_another_one_others() -> None:
    assert (seeds("1", 0.1), choose("1", INVENTORY)) == (seeds("1", 0.1), choose("1", INVENTORY))
    assert choose("1", INVENTORY) != choose("2", INVENTORY)


def test_a_round_has_its_number_of_drifts_each_at_a_place_of_its_own() -> None:
    for seed in map(str, range(20)):
        assert len({(each.host, each.task, each.name) for each in choose(seed, INVENTORY)}) == DRIFTS


@pytest.mark.parametrize("below", ["/etc/caddy", "/etc/caddy/caddy.json"])
def test_nothing_drifts_below_what_is_gone(below: str) -> None:
    slots = [slot("/etc/caddy", gone=True), slot(below)]
    for seed in range(20):
        assert len(drifts.choose(random.Random(seed), slots, 1)) == 1  # noqa: S311
        with pytest.raises(ValueError, match="more than the 1"):
            drifts.choose(random.Random(seed), slots, 2)  # noqa: S311


@pytest.mark.parametrize("other", [slot("/etc/caddy", host="edge"), slot("/etc/caddy.json"), slot("/etc")])
def test_what_is_elsewhere_may_drift_as_well(other: drifts.Slot) -> None:
    assert len(drifts.choose(random.Random(1), [slot("/etc/caddy", gone=True), other], 2)) == 2  # noqa: S311


def test_drifts_that_ask_a_daemon_come_before_those_that_stop_it() -> None:
    asking, names, stopping = drifts.scripts(choose("1", INVENTORY))
    assert set(asking) == {"vps"}
    assert all("tailscale" in script and "systemctl" not in script for script in names.values())
    assert all("systemctl" in script for script in stopping.values())


def test_a_script_names_the_drift_that_does_not_work() -> None:
    broken = drifts.Drift("that one", "vps", drifts.CADDY, "false")
    (script,) = (each["vps"] for each in drifts.scripts([broken]) if each)
    done = subprocess.run(["bash", "-s"], input=script, capture_output=True, text=True, check=False, timeout=10)
    assert (done.returncode, done.stderr) == (1, "that one\n")


def test_all_cases_hold_every_kind() -> None:
    names = " ".join(each.name for seed in seeds("1", 1.0) for each in choose(seed, INVENTORY))
    kinds = ["chmod", "chown", "deleted", "stop", "disable", "policy", "tailscale set", "nodes rename", "nodes tag"]
    kinds += ["by systemd", "applied.json", "a flipped byte", "no text", "user ", "the directory deleted", "killed"]
    kinds += ["staged", "left", "api_key", "tailscale down", "approve-routes"]
    assert [kind for kind in kinds if kind not in names] == []


def test_every_script_is_one_that_bash_can_read() -> None:
    for each in all_slots(INVENTORY):
        script = each.make(random.Random(1)).script  # noqa: S311
        subprocess.run(["bash", "-n"], input=script, text=True, check=True, timeout=10)


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
