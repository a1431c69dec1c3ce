# SPDX-License-Identifier: MIT
"""A run that comes through the WireGuard mesh, and shuts the door behind which it stands."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

import pytest

from tests.fleet.tunnels import Tunnels

if t.TYPE_CHECKING:
    from collections.abc import Iterator

AWAY = 60 + 5  # seconds
MOVED = 60  # seconds; a name is asked again after 30
HOST, WAY = "nas", "hub-1"
STATE = "cat /etc/wonder-mesh/wireguard/*; nft list ruleset; ip -brief address"
GREETS = "timeout 5 bash -c 'exec 3<>/dev/tcp/{}/22 && read -ru 3 line && echo $line' 2>/dev/null; true"
CHANGES: dict[str, dict[str, t.Any]] = {
    "rules that let no SSH in": {"rules": {}},
    "another address": {"addresses": ["10.77.0.99/32"]},
}


@pytest.fixture(scope="module")
def tunnels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tunnels]:
    world = Tunnels(tmp_path_factory.mktemp("tunnels"), str(Path(__file__).with_name("door.yml")))
    world.up()
    answers = world.install()
    assert not any(answer["failed"] for answer in answers.values()), answers
    world.reach_through(HOST, WAY)
    yield world
    world.down()


def greets(tunnels: Tunnels) -> bool:
    """Does its SSH server answer a new connection through the mesh?"""
    return "SSH" in tunnels.run(WAY, GREETS.format(tunnels.mesh.nodes[HOST].addresses[0]))


@pytest.mark.parametrize("change", CHANGES)
def test_what_cuts_off_is_taken_back_within_a_minute(tunnels: Tunnels, change: str) -> None:
    before, wanted = tunnels.run(HOST, STATE), tunnels.tables()[HOST]
    given = CHANGES[change]
    bad = {**wanted, **given} if "rules" in given else {**wanted, "table": wanted["table"] | given}
    playing = tunnels.begin({HOST: bad})
    shut = opened = None
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and opened is None:
        answers = greets(tunnels)
        shut = time.monotonic() if shut is None and not answers else shut
        opened = time.monotonic() if shut is not None and answers else None
    said = tunnels.end(playing)[HOST]
    assert shut is not None
    assert opened is not None
    assert opened - shut <= AWAY
    assert said.get("failed") or said.get("unreachable")
    assert not tunnels.call({HOST: wanted})[HOST]["changed"]
    assert tunnels.run(HOST, STATE) == before


def test_what_does_not_cut_off_is_kept(tunnels: Tunnels) -> None:
    wanted = tunnels.tables()[HOST]
    changed = {**wanted, "table": wanted["table"] | {"mtu": 1400}}
    said = tunnels.call({HOST: changed})[HOST]
    assert (said["failed"], said["changed"], "mtu 1400" in tunnels.run(HOST, "ip link show wm0")) == (False, True, True)
    assert not tunnels.call({HOST: changed})[HOST]["changed"]


@pytest.fixture
def found_nowhere(tunnels: Tunnels) -> Iterator[None]:
    """A node that was started while the name of its hub led to an address that the hub has no longer, or not yet."""
    address = tunnels.run(HOST, f"getent ahostsv4 {WAY}.wm.test").split()[0]
    tunnels.run(HOST, f"cp --archive /etc/hosts /run/hosts; sed -i 's/^{address} /203.0.113.222 /' /etc/hosts")
    tunnels.run(HOST, "systemctl restart wireguard-wm0")
    yield
    tunnels.run(HOST, "cp --archive /run/hosts /etc/hosts")


@pytest.mark.usefixtures("found_nowhere")
def test_a_hub_that_has_moved_is_found_by_its_name(tunnels: Tunnels) -> None:
    greets_hub = GREETS.format(tunnels.mesh.nodes[WAY].addresses[0])
    assert "SSH" not in tunnels.run(HOST, greets_hub)
    tunnels.run(HOST, "cp --archive /run/hosts /etc/hosts")
    deadline = time.monotonic() + MOVED
    while "SSH" not in (said := tunnels.run(HOST, greets_hub)) and time.monotonic() < deadline:
        time.sleep(1)
    assert "SSH" in said
