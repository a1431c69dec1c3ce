# SPDX-License-Identifier: MIT
"""Real Lima: two Debian machines by its own command and the repository's own template, with cloud-init, emulated.

The tests build on each other in their order, since each boot takes minutes.
"""

from __future__ import annotations

import json
import time
import typing as t
from pathlib import Path

import pytest

from tests.lima.machines import NAMES

if t.TYPE_CHECKING:
    from tests.lima.machines import Machines, Play

GONE_SECONDS = 20
PAIRS = {("hub", "box"), ("box", "hub")}


def test_the_demo_keeps_every_promise(machines: Machines) -> None:
    proof = machines.proof()
    assert (proof["ok"], proof["problems"]) == (True, [])


def test_both_ordered_pairs_carry_bytes(machines: Machines) -> None:
    assert {(path["from"], path["to"]) for path in machines.proof()["paths"] if path["ok"]} == PAIRS


def test_a_stranger_gets_the_page_of_the_node_without_tun(machines: Machines) -> None:
    assert [(each["from"], each["status"]) for each in machines.proof()["services"]] == [("stranger", 200)]


def test_a_second_run_changes_nothing(machines: Machines) -> None:
    again = machines.play()
    assert (again.status, again.changed) == (0, {"box": 0, "hub": 0, "stranger": 0})


# The inventory that finds them itself.


@pytest.fixture(scope="module")
def found(machines: Machines, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the inventory plugin, as a person writes it."""
    path = tmp_path_factory.mktemp("inventory") / "lima.yml"
    path.write_text(f"plugin: wonder.mesh.lima\nlima_home: {machines.state.path / 'lima'}\n", encoding="utf-8")
    return path


def test_ansible_and_limactl_agree_about_what_there_is(
    machines: Machines, found: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMA_HOME", str(machines.state.path / "lima"))
    status, listed = machines.call("limactl", "--tty=false", "list", "--format", "json")
    assert status == 0, listed
    told = sorted((each["name"], each["status"]) for each in map(json.loads, listed.splitlines()))
    assert told == [(name, "Running") for name in NAMES]
    status, graph = machines.call("ansible-inventory", "--graph", "-i", str(found))
    assert status == 0, graph
    group = graph.partition("@status_running:")[2]
    assert [line.removeprefix("  |  |--") for line in group.splitlines()[1:] if line.startswith("  |  |--")] == NAMES


def test_ansible_reaches_the_machines_that_it_has_found(machines: Machines, found: Path) -> None:
    status, said = machines.call("ansible", "-i", str(found), "all", "-m", "ansible.builtin.raw", "-a", "id -un")
    assert (status, said.splitlines().count("ops")) == (0, 2), said


# WireGuard of the kernel, which the machine below these two may not have.


@pytest.fixture(scope="module")
def wireguard(machines: Machines) -> Play:
    return machines.play(machines.on_wireguard())


def test_both_ordered_pairs_carry_bytes_on_the_kernels_wireguard(wireguard: Play) -> None:
    assert wireguard.status == 0, wireguard.result.get("problems")
    assert {(path["from"], path["to"]) for path in wireguard.result["paths"] if path["observed"] == "direct"} == PAIRS


@pytest.mark.parametrize("name", NAMES)
def test_the_interface_is_the_kernels(machines: Machines, wireguard: Play, name: str) -> None:
    assert wireguard.status == 0
    links = json.loads(machines.on(name, "ip --json --details link show type wireguard"))
    assert [link["linkinfo"]["info_kind"] for link in links] == ["wireguard"]
    assert machines.on(name, "pgrep --count wireguard-go || true").strip() == "0"


# The last one, since it removes them.


def test_down_leaves_nothing(machines: Machines) -> None:
    machines.demo("down")
    until = time.monotonic() + GONE_SECONDS
    while (left := processes()) and time.monotonic() < until:
        time.sleep(0.5)
    assert (left, machines.state.path.exists()) == ([], False)


def processes() -> list[str]:
    """What runs beside the tests, of which the namespace has no other processes."""
    names = (path.read_text(encoding="utf-8").strip() for path in Path("/proc").glob("[0-9]*/comm"))
    return sorted(name for name in names if name.startswith(("limactl", "qemu", "ssh")))
