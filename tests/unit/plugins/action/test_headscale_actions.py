# SPDX-License-Identifier: MIT
"""The controller's halves of ``headscale_policy`` and ``headscale_node``: when the coordinator is asked."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.wonder.mesh.plugins.action import headscale_node, headscale_policy
from ansible_collections.wonder.mesh.plugins.plugin_utils import _reading, _trial

if t.TYPE_CHECKING:
    from tests.unit.plugins.action.conftest import Run

POLICY = {"grants": [], "tagOwners": {"tag:node": []}}
NODE = {"id": "1", "givenName": "mini-1", "name": "mini-1", "nodeKey": "nodekey:1", "tags": ["tag:node"]}
NODE |= {"ipAddresses": ["100.64.0.1"], "approvedRoutes": [], "online": True, "expiry": None}
WANTED = {"name": "mini-1", "tags": ["tag:node"], "key": "nodekey:1"}


def look(**headscale: t.Any) -> None:
    _reading.keep("hub", {"headscale": headscale})


TEST = {"src": "tag:node", "proto": "tcp", "accept": ["tag:node:22"]}
NEED = {"src": "tag:node", "proto": "tcp", "dst": "tag:node:22", "what": "all reach SSH"}


def test_a_policy_that_is_known_to_be_in_force_costs_no_call(run: Run) -> None:
    look(policy=POLICY, nodes=[])
    assert run(headscale_policy, policy=POLICY, nodes=[WANTED], needs=[]) == [{"changed": False, "diff": []}]


def test_a_policy_costs_no_call_whose_own_tests_say_all_that_is_needed(run: Run) -> None:
    tested = POLICY | {"tests": [TEST]}
    look(policy=tested, nodes=[NODE])
    assert len(run(headscale_policy, policy=tested, nodes=[WANTED], needs=[NEED, NEED | {"src": "alice@"}])) == 1
    assert len(run(headscale_policy, policy=tested, nodes=[WANTED], needs=[NEED | {"dst": "tag:node:80"}])) == 2


def test_a_test_for_which_there_is_no_node_yet_costs_no_call(run: Run) -> None:
    look(policy=POLICY, nodes=[NODE | {"tags": ["tag:old"]}])
    assert len(run(headscale_policy, policy=POLICY | {"tests": [TEST]}, nodes=[WANTED])) == 1


def test_a_test_that_is_missing_costs_a_call(run: Run) -> None:
    look(policy=POLICY, nodes=[NODE])
    assert len(run(headscale_policy, policy=POLICY | {"tests": [TEST]}, nodes=[WANTED])) == 2


@pytest.mark.parametrize("known", [{}, {"policy": None}, {"policy": {"grants": []}}, {"policy": "// a person's"}])
def test_another_policy_is_set_and_then_nothing_is_known(run: Run, known: dict[str, t.Any]) -> None:
    look(**known, nodes=[])
    assert run(headscale_policy, policy=POLICY)[1:] == [{"policy": POLICY}]
    assert _reading.reading_of("hub") is None


def test_a_policy_is_set_when_nobody_has_looked(run: Run) -> None:
    assert len(run(headscale_policy, policy=POLICY)) == 2


def test_the_policy_of_another_headscale_is_not_what_was_read(run: Run) -> None:
    look(policy=POLICY, nodes=[])
    assert len(run(headscale_policy, policy=POLICY, url="http://127.0.0.1:9090")) == 2


INSIDE = {name: {"inventory_hostname": name, "ansible_host": f"100.64.0.{number}"} for number, name in enumerate("ab")}


class Through:
    """A coordinator from which others are reached through the mesh: ``before`` and ``after`` the new policy."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, before: set[str], after: set[str]) -> None:
        self.calls: list[tuple[str, dict[str, t.Any], bool]] = []
        self.foretold = {"changed": True}
        self._answers = [before, after]
        action = headscale_policy.ActionModule.__new__(headscale_policy.ActionModule)
        action._task = types.SimpleNamespace(args={"policy": POLICY}, check_mode=False, delegate_to=None)
        action._connection = types.SimpleNamespace(
            _shell=types.SimpleNamespace(tmpdir=None), reset=lambda: self.calls.append(("reset", {}, False))
        )
        monkeypatch.setattr(ActionBase, "run", lambda *_: {})
        monkeypatch.setattr(action, "_execute_module", self._execute)
        monkeypatch.setattr(action, "_remove_tmp_path", lambda _path: None)
        monkeypatch.setattr(headscale_policy, "reachable", lambda *_: self._answers.pop(0))
        monkeypatch.setattr(_trial, "time", types.SimpleNamespace(monotonic=lambda: 0.0, sleep=lambda _seconds: None))
        self._action = action

    def run(self, check_mode: bool = False) -> dict[str, t.Any]:
        self._action._task.check_mode = check_mode
        hosts = {"hub": {"inventory_hostname": "hub", "ansible_host": "203.0.113.10"}, **INSIDE}
        answer: dict[str, t.Any] = self._action.run(None, {"inventory_hostname": "hub", "hostvars": hosts})
        return answer

    def _execute(self, module_name: str, module_args: dict[str, t.Any], task_vars: t.Any) -> dict[str, t.Any]:
        module = module_name.rpartition(".")[2]
        self.calls.append((module, dict(module_args), self._action._task.check_mode))
        if module == "mesh_confirm":
            kept = module_args["verdict"] == "keep"
            return {"outcome": {"changed": True} if kept else {"failed": True, "msg": "It was put back."}}
        return dict(self.foretold) if self._action._task.check_mode else {"changed": True, "on_trial": True}


def test_a_policy_is_kept_when_all_that_were_reached_through_the_mesh_still_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    through = Through(monkeypatch, {"a"}, {"a"})
    assert through.run() == {"changed": True}
    (_, _, checked), (_, asked, _), (reset, _, _), (_, confirmed, _) = through.calls
    assert (checked, reset) == (True, "reset")
    assert confirmed == {"trial": asked["trial"], "verdict": "keep"}


def test_a_policy_that_cuts_the_controller_off_is_refused_and_the_hosts_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    through = Through(monkeypatch, {"a", "b"}, set())
    answer = through.run()
    assert answer["failed"]
    assert answer["msg"] == "It was put back. With the new policy, this controller did not reach a, b."


def test_a_policy_that_would_change_nothing_is_not_on_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    through = Through(monkeypatch, set(), set())
    through.foretold = {"changed": False}
    assert through.run() == {"changed": False}
    assert len(through.calls) == 1


def test_check_mode_tries_no_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    through = Through(monkeypatch, set(), set())
    assert through.run(check_mode=True) == {"changed": True}
    assert [module for module, _, _ in through.calls] == ["headscale_policy"]


def test_nodes_that_are_known_to_be_as_wanted_cost_no_call(run: Run) -> None:
    look(nodes=[NODE])
    nodes = [{"name": "mini-1", "addresses": ["100.64.0.1"], "tags": ["tag:node"], "online": True}]
    absent = {"name": "old", "state": "absent"}
    answer = {"changed": False, "diff": [], "nodes": nodes, "unknown": ["nas"]}
    assert run(headscale_node, nodes=[WANTED, absent, {"name": "nas", "tags": []}]) == [answer]


@pytest.mark.parametrize(
    "wanted",
    [
        WANTED | {"tags": ["tag:gateway"]},
        WANTED | {"routes": ["10.0.0.0/8"]},
        WANTED | {"state": "absent"},
        WANTED | {"state": "expired"},
        WANTED | {"name": "other"},
        {"name": "mini-1", "state": "present"},
        {"name": "mini-1", "tags": [], "colour": "red"},
    ],
)
def test_nodes_that_differ_or_that_are_wrongly_wanted_are_for_the_coordinator(
    run: Run, wanted: dict[str, t.Any]
) -> None:
    look(nodes=[NODE | ({"givenName": "old-name", "name": "new-name"} if wanted["name"] == "other" else {})])
    assert run(headscale_node, nodes=[wanted])[1:] == [{"nodes": [wanted]}]


def test_two_machines_with_one_name_are_for_the_coordinator_to_refuse(run: Run) -> None:
    look(nodes=[NODE | {"nodeKey": "nodekey:2"}, NODE | {"id": "2", "givenName": "mini-1-x"}])
    assert len(run(headscale_node, nodes=[WANTED])) == 2


@pytest.mark.parametrize(("tests", "calls"), [([TEST], 0), ([], 1)])
def test_nodes_cost_a_call_when_a_test_of_the_policy_is_missing(run: Run, tests: list[t.Any], calls: int) -> None:
    look(nodes=[NODE], policy=POLICY | ({"tests": tests} if tests else {}))
    assert len(run(headscale_node, nodes=[WANTED], policy=POLICY | {"tests": [TEST]})) == 1 + calls


def test_nodes_are_asked_for_when_nobody_has_looked(run: Run) -> None:
    assert len(run(headscale_node, nodes=[WANTED])) == 2
