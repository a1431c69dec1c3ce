# SPDX-License-Identifier: MIT
"""The kernel's WireGuard, which this machine does not have, in a virtual machine with Debian's kernel."""

from __future__ import annotations

import json
import platform
import typing as t
from pathlib import Path

import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils._bundle import agent
from tests.programs.kernel import machine

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the kernel is one for x86_64")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, t.Any]:
    guest = Path(__file__).with_name("kernel") / "guest.py"
    said = machine.run(guest, {"agent.pyz": agent()}, tmp_path_factory.mktemp("machine"))
    print(said)
    # The firmware's last words to a terminal may stand before it in its line.
    _before, mark, rest = said.partition("FOUND ")
    assert mark, said
    return t.cast("dict[str, t.Any]", json.loads(rest.splitlines()[0]))


def test_any_state_of_an_interface_becomes_any_other(found: dict[str, t.Any]) -> None:
    assert found["wrong_changes"] == 0


def test_a_thousand_peers_and_three_thousand_networks_of_one_arrive(found: dict[str, t.Any]) -> None:
    assert found["a_thousand_peers"]


def test_an_interface_that_is_not_there_is_said_to_be_none(found: dict[str, t.Any]) -> None:
    assert "No such device" in found["none"]


def test_two_interfaces_that_the_agent_made_talk_by_both_families(found: dict[str, t.Any]) -> None:
    assert found["up"] == [0, ""]
    assert [" 0% packet loss" in said for said in found["pings"]] == [True, True]
    assert found["sessions"] == [[True, True, True, ["10.1.0.2", 5002]]]


def test_a_hub_forwards_as_long_as_it_is_one(found: dict[str, t.Any]) -> None:
    assert (found["forwards"], found["forwards_after"]) == (["1", "1"], ["0"])


def test_what_runs_is_what_is_wanted_and_is_not_touched_again(found: dict[str, t.Any]) -> None:
    assert (found["differences"], found["applied_again"]) == (["", ""], [0, True])


def test_nothing_is_left_of_an_interface_that_is_taken_down(found: dict[str, t.Any]) -> None:
    assert found["down"] == [0, ""]
