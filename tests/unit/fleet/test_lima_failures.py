# SPDX-License-Identifier: MIT
"""What goes wrong with the provider lima: one clear error with the fix, and nothing half-made left behind."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import shutil
import signal
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from lima_world import NAMES, World, program, started

from fleet import FleetError, lima, limactl, provider, topology
from fleet.__main__ import guarded

if t.TYPE_CHECKING:
    from collections.abc import Callable

# What is refused before anything is made.


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


def test_a_full_disk_is_refused_with_what_is_needed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=3 << 29)
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: usage)
    said = refused(world)
    assert "1.5 GiB are free where" in said
    assert "5 virtual machines need 5; make room on that disk, and start the same command again" in said
    assert list(world.state.path.iterdir()) == []


def test_an_unknown_provider_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(FleetError, match="there is no provider 'vagrant'; known are nspawn, lima"):
        provider.load("vagrant")


def test_a_disk_that_fills_later_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def main(_argv: list[str]) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", "/x/ssh_config")

    assert guarded(main, []) == 1
    said = "fleet: the disk is full at /x/ssh_config; make room, and start the same command again\n"
    assert capsys.readouterr().err == said


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


# A host that does not come up.


def test_a_host_that_does_not_come_up_is_named_with_its_console(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAILS", "worker-1 worker-2")
    with pytest.raises(FleetError) as caught:
        world.up()
    told = str(caught.value)
    assert told.count("did not come up") == 2
    assert "the host worker-1 did not come up: limactl" in told
    assert "    no medium found" in told


def test_a_host_that_does_not_come_up_is_removed_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAILS", "worker-1")
    with pytest.raises(FleetError, match=r"It is removed again\. With that mended, the same command makes it anew"):
        world.up()
    assert world.left() == [name for name in NAMES if name != "worker-1"]


def test_a_host_that_was_up_once_is_not_removed_when_it_does_not_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.up()
    world.machine("worker-1", "stopped")
    monkeypatch.setenv("FAKE_FAILS", "worker-1")
    with pytest.raises(FleetError):
        world.up()
    assert (world.lima / "worker-1").exists()


def test_a_disk_that_fills_is_told_in_limactls_words(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FULL", "gateway")
    with pytest.raises(FleetError, match=r"the host gateway did not come up: (?s:.*)no space left on device"):
        world.up()
    assert not (world.lima / "gateway").exists()


def test_up_goes_on_after_a_host_that_did_not_come_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAILS", "worker-1")
    with pytest.raises(FleetError):
        world.up()
    monkeypatch.setenv("FAKE_FAILS", "")
    world.calls()
    assert (world.up(), started(world.calls())) == (True, ["worker-1"])


# What a run that is ended while machines boot leaves behind.


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_what_boots_does_not_keep_a_run_that_is_ended(
    world: World, monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    monkeypatch.setenv("FAKE_HANGS", " ".join(NAMES))
    with subprocess.Popen(program(world, "up"), stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: bool(booting(world)))
        process.send_signal(number)
        assert process.wait(10) == status
    wait_until(lambda: not booting(world))


def booting(world: World) -> list[str]:
    """The command lines of limactl that start something here."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_text().replace("\0", " "))
    return [line for line in found if f"{world.place}/limactl" in line and " start " in line]


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)
