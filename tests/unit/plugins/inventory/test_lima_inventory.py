# SPDX-License-Identifier: MIT
"""Hosts from Lima: a program in limactl's place prints lines as limactl does."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

if t.TYPE_CHECKING:
    from conftest import Inventory

FILE = "plugin: wonder.mesh.lima\n"
NAME = "lima.yml"


RECORDED = Path(__file__).parents[2] / "fleet" / "recorded.jsonl"  # what limactl 2.2.0 itself printed
TOLD = {each["name"]: each for each in map(json.loads, RECORDED.read_text(encoding="utf-8").splitlines())}


def line(name: str, like: str = "box", **more: t.Any) -> str:
    """What limactl printed of one of the recorded machines, as of one with this name."""
    place = f"/srv/someone/.lima/{name}"
    own = {"name": name, "hostname": f"lima-{name}", "dir": place, "sshConfigFile": f"{place}/ssh.config"}
    return json.dumps(TOLD[like] | {key: value for key, value in own.items() if TOLD[like].get(key)} | more)


LINES = [
    line("hub", param={"role": "coordinator"}),
    line("box-1", config={"plain": True, "param": {"role": "node", "home": "attic"}}),
    line("box-2", "stopped"),
    line("worn", "broken"),
    line("torn", "torn"),
    line("half", "half"),
]


@pytest.fixture
def limactl(inventory: Inventory) -> Path:
    """A program that notes how it was called, and prints what stands in the file ``lines``."""
    folder = inventory.home / "bin"
    folder.mkdir()
    (inventory.home / "lines").write_text("\n".join(LINES) + "\n", encoding="utf-8")
    program = folder / "limactl"
    program.write_text(f'#!/bin/sh\necho "$LIMA_HOME $*" >>{inventory.home}/calls\ncat {inventory.home}/lines\n')
    program.chmod(0o755)
    inventory.environment["PATH"] = f"{folder}:{inventory.environment['PATH']}"
    return program


def name_of(line: str) -> str:
    return t.cast("str", json.loads(line)["name"])


@pytest.mark.usefixtures("limactl")
def test_a_file_of_one_line_shows_what_runs(inventory: Inventory) -> None:
    graph = inventory.graph(NAME, FILE)
    assert [host for host in map(name_of, LINES) if f"--{host}\n" in graph] == ["hub", "box-1"]


@pytest.mark.usefixtures("limactl")
@pytest.mark.parametrize(
    ("group", "members"),
    [("status_running", ["box-1", "hub"]), ("param_role_node", ["box-1"]), ("param_home_attic", ["box-1"])],
)
def test_params_and_status_make_groups(inventory: Inventory, group: str, members: list[str]) -> None:
    assert inventory.groups(NAME, FILE)[group] == members


@pytest.mark.usefixtures("limactl")
def test_ssh_takes_limas_own_configuration(inventory: Inventory) -> None:
    hub = inventory.hosts(NAME, FILE)["hub"]
    assert hub["ansible_host"] == "lima-hub"
    assert hub["ansible_ssh_common_args"] == "-F /srv/someone/.lima/hub/ssh.config"


@pytest.mark.usefixtures("limactl")
def test_a_path_with_a_space_is_one_word(inventory: Inventory) -> None:
    (inventory.home / "lines").write_text(line("hub", sshConfigFile="/srv/a b/ssh.config"))
    assert inventory.hosts(NAME, FILE)["hub"]["ansible_ssh_common_args"] == "-F '/srv/a b/ssh.config'"


@pytest.mark.usefixtures("limactl")
def test_others_than_running_ones_become_hosts_where_asked(inventory: Inventory) -> None:
    hosts = inventory.hosts(NAME, f"{FILE}statuses: [Running, Stopped]\n")
    assert {name: each["lima_status"] for name, each in hosts.items()} == {
        "hub": "Running",
        "box-1": "Running",
        "box-2": "Stopped",
    }


@pytest.mark.usefixtures("limactl")
def test_variables_and_groups_can_be_composed(inventory: Inventory) -> None:
    text = (
        f"{FILE}compose: {{mesh_home: lima_param.home}}\n"
        "groups: {nodes: lima_param.role | default('') == 'node'}\n"
        "keyed_groups: [{key: lima_arch, prefix: arch}]\n"
    )
    groups = inventory.groups(NAME, text)
    assert inventory.hosts(NAME, text)["box-1"]["mesh_home"] == "attic"
    assert (groups["nodes"], groups["arch_x86_64"]) == (["box-1"], ["box-1", "hub"])


@pytest.mark.usefixtures("limactl")
def test_strict_refuses_what_cannot_be_composed(inventory: Inventory) -> None:
    assert "lima_parm" in inventory.refusal(NAME, f"{FILE}strict: true\ncompose: {{mesh_home: lima_parm.home}}\n")


@pytest.mark.usefixtures("limactl")
def test_limas_home_is_relative_to_the_file(inventory: Inventory) -> None:
    inventory.read(NAME, f"{FILE}lima_home: machines\n")
    assert (inventory.home / "calls").read_text() == f"{inventory.home}/machines --tty=false list --format json\n"


@pytest.mark.usefixtures("limactl")
def test_a_cache_spares_the_second_call(inventory: Inventory) -> None:
    text = f"{FILE}cache: true\ncache_plugin: ansible.builtin.jsonfile\ncache_connection: {inventory.home}/cache\n"
    graphs = [inventory.graph(NAME, text) for _ in range(2)]
    assert (graphs[0] == graphs[1], (inventory.home / "calls").read_text().count("\n")) == (True, 1)


@pytest.mark.usefixtures("limactl")
def test_the_cache_can_be_flushed(inventory: Inventory) -> None:
    text = f"{FILE}cache: true\ncache_plugin: ansible.builtin.jsonfile\ncache_connection: {inventory.home}/cache\n"
    inventory.read(NAME, text)
    inventory.ask(NAME, text, flush=True)
    assert (inventory.home / "calls").read_text().count("\n") == 2


@pytest.mark.usefixtures("limactl")
@pytest.mark.parametrize(
    ("like", "told"),
    [
        ("broken", "is broken: `limactl list broken-1` says why; `limactl delete -f broken-1` removes it"),
        ("torn", "is broken: `limactl list torn-1` says why; `limactl delete -f torn-1` removes it"),
        # Of which limactl itself says that it deletes none.
        ("half", "is broken: `limactl list half-1` says why; remove /srv/someone/.lima/half-1 by hand"),
    ],
)
def test_a_broken_machine_is_named_with_the_fix_and_does_not_hide_the_others(
    inventory: Inventory, like: str, told: str
) -> None:
    # A name of its own, since Ansible says each warning once.
    (inventory.home / "lines").write_text("\n".join([line(f"{like}-1", like), *LINES]))
    answer = inventory.ask(NAME, FILE)
    assert told in answer["said"]
    assert sorted(answer["hosts"]) == ["box-1", "hub"]


@pytest.mark.usefixtures("limactl")
def test_what_lima_says_of_a_broken_machine_in_words_is_told(inventory: Inventory) -> None:
    (inventory.home / "lines").write_text(line("weary", "broken", errors=["field `arch` must be set"]))
    assert "weary is broken: field `arch` must be set; `limactl delete" in inventory.ask(NAME, FILE)["said"]


@pytest.mark.usefixtures("limactl")
def test_a_broken_machine_that_has_no_address_is_no_host_where_asked_either(inventory: Inventory) -> None:
    assert sorted(inventory.hosts(NAME, f"{FILE}statuses: [Broken]\n")) == ["worn"]


def test_a_missing_limactl_is_named_with_the_fix(inventory: Inventory) -> None:
    said = inventory.refusal(NAME, f"{FILE}limactl: no-limactl\n")
    assert f"{inventory.home}/{NAME}: there is no program 'no-limactl'. Install Lima" in said


def test_what_limactl_says_when_it_refuses_is_told(inventory: Inventory, limactl: Path) -> None:
    limactl.write_text("#!/bin/sh\necho 'limactl: must not run as the root user' >&2\nexit 1\n")
    said = inventory.refusal(NAME, FILE)
    assert "must not run as the root user; run Ansible as the user whose machines they are" in said


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        ("no json\n", "line 1 of what `limactl list --format json` prints is no JSON"),
        ('{"name": "a", "status": "Running"}\n', "does not tell dir, hostname, sshConfigFile of a machine; Lima 2.0"),
    ],
)
@pytest.mark.usefixtures("limactl")
def test_what_is_no_list_is_refused(inventory: Inventory, printed: str, told: str) -> None:
    (inventory.home / "lines").write_text(printed)
    assert told in inventory.refusal(NAME, FILE)


@pytest.mark.usefixtures("limactl")
def test_a_limactl_that_hangs_is_given_up(inventory: Inventory, limactl: Path) -> None:
    limactl.write_text("#!/bin/sh\nexec sleep 30\n")
    assert "was not done after 1 s" in inventory.refusal(NAME, f"{FILE}timeout: 1\n")


@pytest.mark.usefixtures("limactl")
def test_a_mistyped_option_is_refused_by_name(inventory: Inventory) -> None:
    said = inventory.refusal(NAME, f"{FILE}status: [Running]\n")
    assert "there is no option 'status'; known are" in said


@pytest.mark.usefixtures("limactl")
def test_a_file_of_another_name_is_not_ours(inventory: Inventory) -> None:
    assert "could not be verified by inventory plugin 'wonder.mesh.lima'" in inventory.refusal("machines.yml", FILE)
