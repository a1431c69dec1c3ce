# SPDX-License-Identifier: MIT
"""The controller's halves of what concerns relays: when a host is asked, and in which order relays start anew."""

from __future__ import annotations

import time
import types
import typing as t

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.wonder.mesh.plugins.action import derper_certificate, derper_readmit, headscale_relays_info
from ansible_collections.wonder.mesh.plugins.plugin_utils import _reading, _trial

if t.TYPE_CHECKING:
    from tests.unit.plugins.action.conftest import Run

FILE = "/etc/derper/203.0.113.12.pem"
LONG = time.time() + 3650 * 24 * 3600


def look(**relays: t.Any) -> None:
    _reading.keep("hub", {"relays": {"published": [], "certificates": {}, **relays}})


def test_a_certificate_that_is_known_to_last_costs_no_call(run: Run) -> None:
    look(certificates={FILE: ["sha256-raw:x", LONG]})
    assert run(derper_certificate, hostname="203.0.113.12") == [{"changed": False, "certificate": "sha256-raw:x"}]


@pytest.mark.parametrize(
    "known",
    [{}, {"/etc/derper/203.0.113.13.pem": ["sha256-raw:x", LONG]}, {FILE: ["sha256-raw:x", time.time() + 3600]}],
)
def test_a_relay_is_asked_for_a_certificate_that_is_not_there_or_ends_soon(run: Run, known: dict[str, t.Any]) -> None:
    look(certificates=known)
    assert run(derper_certificate, hostname="203.0.113.12")[1:] == [{"hostname": "203.0.113.12"}]


def test_the_map_that_this_run_has_read_costs_no_call(run: Run) -> None:
    look(published=[{"regionid": 917}])
    assert run(headscale_relays_info) == [{"changed": False, "regions": [{"regionid": 917}]}]


def test_the_coordinator_is_asked_for_its_map_when_nobody_has_looked(run: Run) -> None:
    assert len(run(headscale_relays_info)) == 2


class Relays:
    """What happens to the relays, with the time at which it does; those in ``lost`` cannot be reached."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lost: set[str] = set()
        self.story: list[tuple[str, float]] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def run_module_on(self, _action: t.Any, host: str, module: str, arguments: dict[str, t.Any], _: t.Any) -> t.Any:
        if host in self.lost:
            raise AnsibleConnectionFailure("no route")
        assert (module, arguments["name"], arguments["state"]) == (
            "ansible.builtin.systemd_service",
            "derper.service",
            "restarted",
        )
        self.story.append((host, self.now))
        return {"changed": True}


@pytest.fixture
def relays(monkeypatch: pytest.MonkeyPatch) -> Relays:
    relays = Relays()
    monkeypatch.setattr(derper_readmit, "run_module_on", relays.run_module_on)
    monkeypatch.setattr(derper_readmit, "time", relays)
    monkeypatch.setattr(ActionBase, "run", lambda *_: {})
    return relays


def readmit(*names: str, check_mode: bool = False) -> dict[str, t.Any]:
    action = derper_readmit.ActionModule.__new__(derper_readmit.ActionModule)
    action._task = types.SimpleNamespace(args={"relays": list(names)}, check_mode=check_mode)
    answer: dict[str, t.Any] = action.run(None, {})
    return answer


def test_relays_start_anew_one_after_the_other_once_they_know_who_has_gone(relays: Relays) -> None:
    assert readmit("edge", "out")["changed"]
    (first, at_first), (second, at_second) = relays.story
    assert (first, second) == ("edge", "out")
    assert at_first >= _trial.SETTLE
    assert at_second - at_first >= derper_readmit.BETWEEN


def test_a_relay_that_cannot_be_reached_is_a_warning_and_stops_no_other(relays: Relays) -> None:
    relays.lost = {"edge"}
    answer = readmit("edge", "out")
    assert [name for name, _ in relays.story] == ["out"]
    assert answer["changed"]
    assert "edge was not started anew, and a node that was taken out may stay" in answer["warnings"][0]


def test_without_relays_nothing_changes_and_nobody_waits(relays: Relays) -> None:
    assert readmit() == {"changed": False, "warnings": []}
    assert relays.now == 0


def test_check_mode_foretells_it_and_starts_nothing_anew(relays: Relays) -> None:
    assert readmit("edge", check_mode=True)["changed"]
    assert relays.story == []
