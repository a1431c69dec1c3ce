# SPDX-License-Identifier: MIT
"""Fleets for the tests. One that is up and proven is used as it is and left; any other is taken down at the end."""

from __future__ import annotations

import os
import re
import sys
import time
import typing as t
from pathlib import Path

import pytest
from world import Fleet, Reloads, run, streams

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Ansible's programs are those of the Python that runs the tests, and no setting of the person at the keyboard counts.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
for name in [name for name in os.environ if name.startswith("ANSIBLE_")]:
    del os.environ[name]
os.environ["ANSIBLE_NOCOLOR"] = "1"
LAST = ("test_relay_changes.py", "test_removal.py")
NAMED = re.compile(r"matrix|stranger|survive")  # tests whose outcome is told one by one


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests that leave less than others find come last."""
    items.sort(key=lambda item: LAST.index(item.path.name) if item.path.name in LAST else -1)


def pytest_terminal_summary(terminalreporter: t.Any) -> None:
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, ()):
            if NAMED.search(report.nodeid):
                seen = "".join(f" ({value})" for _name, value in getattr(report, "user_properties", ()))
                terminalreporter.write_line(f"{outcome}: {report.nodeid}{seen}")


@pytest.fixture(scope="session")
def fleet(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Fleet]]:
    """Call ``fleet(topology)``: that fleet, up and proven."""
    fleets: dict[str, Fleet] = {}
    ours: list[Fleet] = []
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def get(topology: str) -> Fleet:
        if topology not in fleets:
            world = Fleet(topology)
            was_up = world.is_up()
            if not was_up:
                ours.append(world)
            if not (was_up and world.result_file.is_file() and world.result["ok"]):
                with capture.global_and_fixture_disabled():  # it may take minutes, and says how far it is
                    world.up()
            fleets[topology] = Fleet(topology, ours=not was_up)  # with nothing remembered from before
        return fleets[topology]

    yield get
    for world in ours:
        with capture.global_and_fixture_disabled():
            world.down()


@pytest.fixture(scope="session")
def demo(fleet: Callable[[str], Fleet]) -> Fleet:
    return fleet("demo")


@pytest.fixture(scope="session")
def one_vps(fleet: Callable[[str], Fleet]) -> Fleet:
    return fleet("one-vps")


@pytest.fixture
def own_result(tmp_path: Path) -> dict[str, str]:
    """Variables with which a play writes its proof elsewhere, so that the fleet's own stays what the others read."""
    return {"mesh_result_file": str(tmp_path / "result.json")}


@pytest.fixture(scope="session")
def reloads(demo: Fleet) -> Reloads:
    """Twenty reloads of the coordinator's Caddy. Early, so that other tests run while its streams are left alone."""
    before = streams(demo)
    time.sleep(5)  # what is still open then is no short question, such as a latency probe
    before &= streams(demo)
    each = "timeout 20 systemctl reload caddy.service"
    done = run(demo.host("hub"), f"for i in $(seq 20); do {each} || exit; done")
    return Reloads(done.rc, before, time.monotonic())
