# SPDX-License-Identifier: MIT
"""The kernel's settings that ``wireguard_interface`` changes and gives back, and when it changes anything."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils import _wireguard_interface
from tests.unit.plugins.modules.wireguard_host import WireGuardHost, peer, table

if t.TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., dict[str, t.Any]]

HOST = WireGuardHost
HUB = {"mesh": True, "networks": []}


def settings(host: WireGuardHost) -> dict[str, str]:
    top = host.root / "sys"
    return {str(path.relative_to(top)): path.read_text() for path in sorted(top.rglob("*")) if path.is_file()}


def test_a_host_forwards_only_as_long_as_it_is_a_hub(up: WireGuardHost, run_interface: Run) -> None:
    router = up.root / "sys" / "ipv6" / "conf" / "eth0" / "accept_ra"
    router.parent.mkdir()
    router.write_text("1")
    before = settings(up)
    run_interface(up.wanted(table=table(forward=HUB)))
    # One that forwards IPv6 takes routes from its router only if it is told to.
    hub = {"ipv4/conf/wm0/forwarding": "1", "ipv6/conf/all/forwarding": "1", "ipv6/conf/eth0/accept_ra": "2"}
    assert settings(up) == before | hub
    assert not run_interface(up.wanted(table=table(forward=HUB)))["changed"]
    run_interface(up.wanted())
    assert settings(up) == before


def test_a_hub_that_is_taken_away_forwards_no_more(host: WireGuardHost, run_interface: Run) -> None:
    before = settings(host)
    run_interface(host.wanted(table=table(forward=HUB)))
    run_interface({"state": "absent", "remove_data": True})
    assert settings(host) == before


def test_a_home_is_led_to_by_the_interface_that_is_in_it(up: WireGuardHost, run_interface: Run) -> None:
    home = up.root / "sys" / "ipv4" / "conf" / "eth0" / "forwarding"
    home.parent.mkdir()
    home.write_text("0")
    run_interface(up.wanted(table=table(forward={"mesh": False, "networks": ["192.168.5.0/24"]})))
    assert (home.read_text(), settings(up)["ipv6/conf/all/forwarding"]) == ("1", "0")


def test_a_change_waits_for_its_instant(up: WireGuardHost, run_interface: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(_wireguard_interface.time, "time", lambda: 1000.0)
    monkeypatch.setattr(_wireguard_interface.time, "sleep", slept.append)
    run_interface(up.wanted(table=table(peer("hub-1", 1)), at=1040.5))
    # First in the module, until shortly before; then in the agent.
    assert [each for each in slept if each] == [30.5, 30.0]


def test_an_instant_that_is_far_ahead_is_refused(up: WireGuardHost, run_interface: Run) -> None:
    before = up.snapshot()
    answer = run_interface(up.wanted(table=table(peer("hub-1", 1)), at=4e9))
    assert (answer["failed"], "clocks" in answer["msg"], up.snapshot() == before) == (True, True, True)


@pytest.mark.parametrize("where", ["all", "default"])
def test_a_host_where_ipv6_is_turned_off_does_without(host: WireGuardHost, run_interface: Run, where: str) -> None:
    setting = host.root / "sys" / "ipv6" / "conf" / where / "disable_ipv6"
    setting.parent.mkdir(exist_ok=True)
    setting.write_text("1")
    answer = run_interface(host.wanted())
    state = host.running
    assert state is not None
    assert (answer["failed"], state["addresses"], state["routes"]) == (False, ["10.77.0.9/32"], ["10.77.0.0/16"])
    assert not run_interface(host.wanted())["changed"]
