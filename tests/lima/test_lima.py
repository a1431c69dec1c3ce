# SPDX-License-Identifier: MIT
"""Real Lima: two Debian machines by its own command and the repository's own template, with cloud-init, emulated.

The tests build on each other in their order, since each boot takes minutes.
"""

from __future__ import annotations

import json
import sys
import time
import typing as t
from pathlib import Path

import pytest

from fleet.limactl import Limactl
from tests.lima.machines import NAMES, TOPOLOGY

if t.TYPE_CHECKING:
    from tests.lima.machines import Machines, Play

GONE_SECONDS = 20
RECORDED = Path(__file__).parents[1] / "unit" / "fleet" / "recorded.jsonl"
PAIRS = {("hub", "box"), ("box", "hub")}


def test_the_demo_keeps_every_promise(machines: Machines) -> None:
    proof = machines.proof()
    assert (proof["ok"], proof["problems"]) == (True, [])


def test_both_ordered_pairs_carry_bytes(machines: Machines) -> None:
    assert {(path["from"], path["to"]) for path in machines.proof()["paths"] if path["ok"]} == PAIRS


def test_a_stranger_gets_the_page_of_the_node_without_tun(machines: Machines) -> None:
    assert [(each["from"], each["status"]) for each in machines.proof()["services"]] == [("stranger", 200)]


def test_a_second_up_does_nothing(machines: Machines) -> None:
    options = ["--provider", "lima", "--topology", TOPOLOGY]
    status, said = machines.call(sys.executable, "-m", "fleet", "up", *options)
    assert (status, "is up already" in said) == (0, True), said


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


@pytest.fixture(scope="module")
def listed(machines: Machines) -> list[dict[str, t.Any]]:
    """What Lima itself says that there is."""
    home = f"LIMA_HOME={machines.state.path / 'lima'}"
    status, said = machines.call("env", home, "limactl", "--tty=false", "list", "--format", "json")
    assert status == 0, said
    return [json.loads(line) for line in said.splitlines()]


def test_ansible_and_limactl_agree_about_what_there_is(
    machines: Machines, found: Path, listed: list[dict[str, t.Any]]
) -> None:
    assert sorted((each["name"], each["status"]) for each in listed) == [(name, "Running") for name in NAMES]
    status, graph = machines.call("ansible-inventory", "--graph", "-i", str(found))
    assert status == 0, graph
    group = graph.partition("@status_running:")[2]
    assert [line.removeprefix("  |  |--") for line in group.splitlines()[1:] if line.startswith("  |  |--")] == NAMES


def test_what_unit_tests_take_for_limactls_words_is_what_it_says(listed: list[dict[str, t.Any]]) -> None:
    """The same keys with the same types of values."""
    recorded = json.loads(RECORDED.read_text(encoding="utf-8").splitlines()[0])
    assert recorded["status"] == "Running"
    assert [shape(each) for each in listed] == [shape(recorded)] * len(NAMES)


def shape(each: dict[str, t.Any]) -> dict[str, str]:
    return {key: type(value).__name__ for key, value in each.items()}


def test_ansible_reaches_the_machines_that_it_has_found(machines: Machines, found: Path) -> None:
    status, said = machines.call("ansible", "-i", str(found), "all", "-m", "ansible.builtin.raw", "-a", "id -un")
    assert (status, said.splitlines().count("ops")) == (0, 2), said


# What a limactl that was killed leaves, which needs no machine.


@pytest.mark.usefixtures("limactl")
def test_a_machine_that_limactl_had_only_begun_is_told_and_removed(tmp_path: Path) -> None:
    lima = Limactl(tmp_path)
    (tmp_path / "half").mkdir()
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "lima.yaml").write_text("arch: [", encoding="utf-8")
    told = lima.list()
    assert {name: each["status"] for name, each in told.items()} == {"half": "Broken", "torn": ""}
    for name in told:
        lima.delete(name)
    assert lima.list() == {}


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
