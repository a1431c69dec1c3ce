# SPDX-License-Identifier: MIT
"""What ``wireguard_interface`` takes for a difference, and that check mode says the same."""

from __future__ import annotations

import os
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils import _wireguard_look
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_daemon import ARGUMENTS, described
from ansible_collections.wonder.mesh.plugins.plugin_utils import _reading
from tests.unit.plugins.modules.wireguard_host import UNIT, WATCH, WireGuardHost, number, peer, table

if t.TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., dict[str, t.Any]]

HOST = WireGuardHost


def identity(host: WireGuardHost) -> tuple[str, str]:
    """That of what runs, as a look at the host has it, and that of what is wanted, as the controller has it."""
    parameters = _reading.valid(host.wanted(), ARGUMENTS)
    assert parameters is not None
    found = _wireguard_look.look(host.run_command)
    return found["identity"], described(parameters, os.uname().machine, True).identity


DRIFTS: dict[str, Callable[[dict[str, t.Any]], object]] = {
    "a lost peer": lambda state: state["peers"].popitem(),
    "another port": lambda state: state.update(port=1),
    "another mtu": lambda state: state.update(mtu=1280),
    "a lost address": lambda state: state["addresses"].pop(),
    "a foreign address": lambda state: state["addresses"].append("10.1.1.1/32"),
    "a lost route": lambda state: state["routes"].pop(),
    "a foreign route": lambda state: state["routes"].append("10.99.0.0/16"),
    "down": lambda state: state.update(up=False),
    "no endpoint": lambda state: next(iter(state["peers"].values())).update(endpoint=None),
    "another pre-shared key": lambda state: next(iter(state["peers"].values())).update(psk="ff" * 32),
    "a stolen network": lambda state: next(iter(state["peers"].values()))["allowed_ips"].append("10.77.0.200/32"),
    "another key": lambda state: state.update(private_key="11" * 32),
}


@pytest.mark.parametrize("drift", DRIFTS)
def test_what_somebody_changed_in_the_interface_is_put_right(up: WireGuardHost, run_interface: Run, drift: str) -> None:
    before = up.snapshot()
    state = up.running
    assert state is not None
    DRIFTS[drift](state)
    up.run(state)
    assert identity(up)[0] == ""
    foretold = run_interface(up.wanted(), check_mode=True)
    answer = run_interface(up.wanted())
    assert (answer["changed"], foretold["changed"], foretold["diff"]) == (True, True, answer["diff"])
    assert up.snapshot() == before
    assert up.orders() == [f"reload -- {UNIT}"]


def test_a_firewall_that_somebody_emptied_is_put_right(up: WireGuardHost, run_interface: Run) -> None:
    up.unit("nft").runs.clear()
    assert run_interface(up.wanted())["changed"]
    assert "wonder_mesh_wm0" in up.unit("nft").runs


def test_a_watch_that_is_down_is_started(up: WireGuardHost, run_interface: Run) -> None:
    up.unit(WATCH).active = "failed"
    assert run_interface(up.wanted())["changed"]
    assert up.unit(WATCH).active == "active"


def test_an_endpoint_that_roamed_is_no_difference(up: WireGuardHost, run_interface: Run) -> None:
    state = up.running
    assert state is not None
    next(iter(state["peers"].values()))["endpoint"] = ["198.51.100.7", 4242]
    up.run(state)
    assert not run_interface(up.wanted())["changed"]


def test_what_the_watch_moved_is_no_difference(up: WireGuardHost, run_interface: Run) -> None:
    behind = {"networks": ["10.77.0.0/16"], "hubs": ["hub-1", "hub-2"]}
    peers = [peer("hub-1", 1, allowed_ips=["10.77.0.1/32", "10.77.0.0/16"]), peer("hub-2", 2)]
    hubs = [{"name": "hub-1", "address": "10.77.0.1"}, {"name": "hub-2", "address": "10.77.0.2"}]
    wanted = up.wanted(table=table(*peers, hubs=hubs, relayed=[behind]))
    run_interface(wanted)
    (up.root / "run" / "wireguard-wm0" / "hubs.json").write_text('{"silent": ["hub-1"], "reports": {}}')
    state = up.running
    assert state is not None
    state["peers"][number("hub-1")]["allowed_ips"].remove("10.77.0.0/16")
    state["peers"][number("hub-2")]["allowed_ips"] = ["10.77.0.0/16", "10.77.0.2/32"]
    up.run(state)
    assert not run_interface(wanted)["changed"]


def test_check_mode_foretells_the_first_run_and_writes_nothing(host: WireGuardHost, run_interface: Run) -> None:
    before = host.snapshot()
    foretold = run_interface(host.wanted(), check_mode=True)
    assert host.snapshot() == before
    answer = run_interface(host.wanted())
    assert (foretold["changed"], foretold["diff"], foretold["public_key"]) == (True, answer["diff"], "")


def test_a_look_tells_the_controller_that_all_is_as_wanted(up: WireGuardHost) -> None:
    found, wanted = identity(up)
    assert found == wanted != ""
