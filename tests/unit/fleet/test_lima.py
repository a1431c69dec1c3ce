# SPDX-License-Identifier: MIT
"""The provider lima with a program in limactl's place, and one in that of ssh."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import typing as t
from pathlib import Path

import pytest
import yaml

from fleet import FleetError, lima, limactl, topology
from fleet.console import Console
from fleet.state import State

MAC = str(Path(__file__).parents[3] / "lima" / "topologies" / "mac.yml")
NAMES = ["coordinator", "gateway", "manager", "worker-1", "worker-2"]
SSH = """\
#!/bin/bash
# ssh -F CONFIG NAME COMMAND...
name=$3 command="${*:4}"
echo "$name: $command" >>"$FAKE_CALLS"
case $command in
    ip*) printf '%s\\n' "1: lo inet 127.0.0.1/8 scope host lo" "2: eth0 inet 192.168.104.$((10 + ${#name}))/24 eth0" ;;
    "sudo tar "*) tar --list >"$FAKE_CALLS.$name" ;;
esac
"""


class World:
    """The machines of a person, all of them pretended."""

    def __init__(self, place: Path) -> None:
        self.place, self.state = place, State("wm123abc", place / "s")
        self.topology = topology.load(MAC, lima.NAT_KINDS)

    def up(self) -> bool:
        return lima.up(self.topology, self.state, Console())

    def calls(self) -> list[str]:
        """What was called since the last time, less what only asks."""
        file = Path(os.environ["FAKE_CALLS"])
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return [line for line in lines if not line.startswith(("list", "--version"))]

    def machine(self, name: str, status: str) -> None:
        """Let limactl tell this of a machine."""
        line = self.state.path / "lima" / name / "line"
        line.parent.mkdir(parents=True, exist_ok=True)
        text = line.read_text() if line.exists() else json.dumps({"name": name, "sshLocalPort": 1})
        line.write_text(json.dumps(json.loads(text) | {"status": status}))


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> World:
    place = tmp_path_factory.mktemp("l")
    for name, source in (("limactl", Path(__file__).with_name("limactl.py").read_text()), ("ssh", SSH)):
        (place / name).write_text(source)
        (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_CALLS", str(place / "calls"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(limactl, "SOCKET", 1000)  # pytest's own paths are long
    world = World(place)
    world.state.path.mkdir(parents=True)
    return world


def started(calls: list[str]) -> list[str]:
    return sorted(call.split("--name=")[1].split()[0] for call in calls if "--name=" in call)


def test_it_starts_every_host_from_the_template(world: World) -> None:
    assert world.up()
    calls = world.calls()
    assert started(calls) == NAMES
    assert all(call.endswith("lima/host.yaml") for call in calls if "--name=" in call)


def test_a_second_up_does_nothing(world: World) -> None:
    world.up()
    world.calls()
    assert (world.up(), world.calls()) == (False, [])


def test_the_inventory_has_the_groups_of_the_topology(world: World) -> None:
    world.up()
    inventory = yaml.safe_load(world.state.inventory.read_text())["all"]
    assert {name: list(group["hosts"]) for name, group in inventory["children"].items() if group["hosts"]} == {
        "coordinator": ["coordinator"],
        "gateways": ["gateway"],
        "nodes": NAMES[1:],
        "strangers": ["stranger"],
    }


def test_ssh_goes_to_the_ports_that_lima_tells(world: World) -> None:
    world.up()
    assert f"Host worker-1\n  Port {40000 + len('worker-1')}\n" in world.state.ssh_config.read_text()


def test_ssh_takes_limas_key(world: World) -> None:
    world.up()
    variables = yaml.safe_load(world.state.inventory.read_text())["all"]["vars"]
    assert variables["ansible_ssh_private_key_file"] == str(world.state.path / "lima/_config/user")
    assert variables["ansible_user"] == "ops"


def test_a_host_gets_names_trust_and_its_page(world: World) -> None:
    world.up()
    got = Path(f"{os.environ['FAKE_CALLS']}.worker-1").read_text()
    for name in ("etc/hosts", "usr/local/share/ca-certificates/fleet.crt", "etc/systemd/system/page.service"):
        assert name in got


def test_a_host_without_services_gets_no_page(world: World) -> None:
    world.up()
    assert "page" not in Path(f"{os.environ['FAKE_CALLS']}.manager").read_text()


def test_up_after_a_killed_one_makes_what_is_missing(world: World) -> None:
    world.machine("coordinator", "Running")
    world.machine("gateway", "Uninitialized")
    world.up()
    calls = world.calls()
    assert ("delete --force gateway" in calls, started(calls)) == (True, NAMES[1:])


def test_up_after_one_that_was_killed_before_its_end_writes_the_files(world: World) -> None:
    world.up()
    world.state.record.unlink()
    world.state.inventory.unlink()
    world.calls()
    assert world.up()
    assert (world.state.inventory.exists(), started(world.calls())) == (True, [])


def test_a_stopped_host_is_started_as_it_is(world: World) -> None:
    world.up()
    world.machine("worker-2", "Stopped")
    world.calls()
    assert world.up()
    calls = [call for call in world.calls() if call.startswith("start")]
    assert calls == [f"start --timeout={limactl.START - limactl.ASKED:.0f}s worker-2"]


def test_a_host_that_does_not_come_up_is_named_with_its_console(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAILS", "worker-1 worker-2")
    with pytest.raises(FleetError) as caught:
        world.up()
    told = str(caught.value)
    assert told.count("did not come up") == 2
    assert "the host worker-1 did not come up: limactl" in told
    assert "    no medium found" in told


def test_up_goes_on_after_a_host_that_did_not_come_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAILS", "worker-1")
    with pytest.raises(FleetError):
        world.up()
    monkeypatch.setenv("FAKE_FAILS", "")
    world.calls()
    assert (world.up(), started(world.calls())) == (True, ["worker-1"])


def test_down_leaves_nothing(world: World) -> None:
    world.up()
    world.calls()
    lima.down(world.state, Console())
    assert sorted(world.calls()) == [f"delete --force {name}" for name in NAMES]
    assert not world.state.path.exists()


def test_down_of_a_fleet_that_is_not_there_does_nothing(world: World) -> None:
    shutil.rmtree(world.state.path)
    lima.down(world.state, Console())
    assert world.calls() == []


def test_it_tells_which_hosts_run(world: World) -> None:
    world.up()
    world.machine("manager", "Stopped")
    stopped = {"manager", "stranger"}
    assert lima.running(world.topology, world.state) == {name: name not in stopped for name in [*NAMES, "stranger"]}


def test_a_stranger_is_another_name_of_a_machine_without_tun(world: World) -> None:
    world.up()
    port = 40000 + len("manager")
    config = world.state.ssh_config.read_text()
    assert [f"Host {name}\n  Port {port}\n  HostKeyAlias manager\n" in config for name in ("manager", "stranger")] == [
        True,
        True,
    ]


def test_a_machine_with_two_names_gets_its_files_under_its_own(world: World) -> None:
    world.up()
    assert not Path(f"{os.environ['FAKE_CALLS']}.stranger").exists()


def test_a_stranger_without_such_a_machine_has_its_own(world: World) -> None:
    hosts = tuple(dataclasses.replace(host, variables={}) for host in world.topology.hosts)
    assert lima.machines(dataclasses.replace(world.topology, hosts=hosts))["stranger"] == "stranger"


# What goes wrong is refused before anything is made.


def refused(world: World) -> str:
    with pytest.raises(FleetError) as caught:
        world.up()
    assert world.calls() == []
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "told"),
    [("demo", "a router of the kind hard"), ("one-vps", "2 homes")],
)
def test_a_world_that_is_more_than_one_home_is_refused_and_told_who_can(world: World, name: str, told: str) -> None:
    world.topology = topology.load(name, lima.NAT_KINDS)
    said = refused(world)
    assert (told in said, "nspawn" in said, "\n" in said) == (True, True, False)


def test_a_home_with_losses_is_refused_and_told_who_can(world: World) -> None:
    homes = (dataclasses.replace(world.topology.homes[0], loss=5),)
    world.topology = dataclasses.replace(world.topology, homes=homes)
    said = refused(world)
    assert ("a router with losses" in said, "nspawn" in said) == (True, True)


def test_a_changed_topology_is_refused(world: World) -> None:
    world.up()
    world.calls()
    world.topology = dataclasses.replace(world.topology, source="other")
    assert "has changed since this fleet was made from it; run down first" in refused(world)


def test_an_old_lima_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_VERSION", "1.0.7")
    assert "this is Lima 1.0; 2.0 or newer is needed: brew upgrade lima" in refused(world)


def test_root_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "limactl does not run as root" in refused(world)


def test_a_missing_limactl_is_named_with_the_fix(world: World) -> None:
    (world.place / "limactl").unlink()
    assert "there is no limactl; install Lima 2.0 or newer (brew install lima)" in refused(world)


def test_a_path_that_is_too_long_for_a_socket_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limactl, "SOCKET", 40)
    assert "would have too long names" in refused(world)


def test_a_list_that_is_none_is_refused(world: World) -> None:
    (world.state.path / "lima" / "x").mkdir(parents=True)
    (world.state.path / "lima" / "x" / "line").write_text("no json")
    assert "limactl list prints what is no list of machines: 'no json'" in refused(world)


def test_the_template_gives_a_host_nothing_of_the_machine_below() -> None:
    template: dict[str, t.Any] = yaml.safe_load(lima.TEMPLATE.read_text())
    assert (template["plain"], template["mounts"], template["ssh"]["loadDotSSHPubKeys"]) == (True, [], False)
