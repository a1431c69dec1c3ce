# SPDX-License-Identifier: MIT
"""The provider lima with a program in limactl's place, and one in that of ssh."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
import yaml
from lima_world import NAMES, World, started

from fleet import lima, limactl
from fleet.console import Console


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


@pytest.mark.parametrize("like", ["stopped", "broken", "torn"])
def test_up_after_a_killed_one_makes_anew_what_it_has_left(world: World, like: str) -> None:
    world.machine("coordinator", "hub")
    world.machine("gateway", like)
    world.up()
    calls = world.calls()
    assert ("delete --force gateway" in calls, started(calls)) == (True, NAMES[1:])


def test_up_after_one_that_was_killed_as_limactl_began_makes_that_machine_anew(world: World) -> None:
    """limactl itself does not delete a directory without a lima.yaml."""
    world.machine("gateway", "half")
    world.up()
    assert started(world.calls()) == NAMES


def test_up_after_a_killed_one_waits_for_what_still_boots(world: World) -> None:
    world.machine("coordinator", "hub")
    Path(f"{os.environ['FAKE_CALLS']}.boots").touch()
    assert world.up()


def test_up_after_one_that_was_killed_before_its_end_writes_the_files(world: World) -> None:
    world.up()
    world.state.record.unlink()
    world.state.inventory.unlink()
    world.calls()
    assert world.up()
    assert (world.state.inventory.exists(), started(world.calls())) == (True, [])


def test_a_stopped_host_is_started_as_it_is(world: World) -> None:
    world.up()
    world.machine("worker-2", "stopped")
    world.calls()
    assert world.up()
    calls = [call for call in world.calls() if call.startswith("start")]
    assert calls == [f"start --timeout={limactl.START - limactl.ASKED:.0f}s worker-2"]


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


def test_down_removes_what_limactl_had_only_begun(world: World) -> None:
    world.machine("gateway", "half")
    lima.down(world.state, Console())
    assert not world.state.path.exists()


@pytest.mark.parametrize(("name", "ends"), [("usernet", True), ("editor", False)])
def test_down_ends_the_daemon_of_the_network_and_nobody_else(world: World, name: str, ends: bool) -> None:
    """The number in the file may be another's since the last boot."""
    world.up()
    place = world.lima / "_networks" / "user-v2" / "usernet_user-v2.pid"
    place.parent.mkdir(parents=True)
    with subprocess.Popen(["bash", "-c", f"exec -a {name} sleep 60"]) as process:
        while b"sleep" in Path(f"/proc/{process.pid}/cmdline").read_bytes():  # until bash has made way
            time.sleep(0.01)
        place.write_text(f"{process.pid}\n")
        lima.down(world.state, Console())
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)
        assert (process.poll() is not None) is ends
        process.kill()


def test_it_tells_which_hosts_run(world: World) -> None:
    world.up()
    world.machine("manager", "stopped")
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


def test_the_template_gives_a_host_nothing_of_the_machine_below() -> None:
    template: dict[str, t.Any] = yaml.safe_load(lima.TEMPLATE.read_text())
    assert (template["plain"], template["mounts"], template["ssh"]["loadDotSSHPubKeys"]) == (True, [], False)
