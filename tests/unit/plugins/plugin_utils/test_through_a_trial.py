# SPDX-License-Identifier: MIT
"""The controller's half of a change on trial: when it comes back, and what it then says."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure

from ansible_collections.wonder.mesh.plugins.module_utils._trial import ON_TRIAL
from ansible_collections.wonder.mesh.plugins.plugin_utils import _trial

DONE = {"changed": True, "diff": []}
INSIDE = {"inventory_hostname": "mini-1", "ansible_host": "100.64.0.4"}
OUTSIDE = {"inventory_hostname": "mini-1", "ansible_host": "192.168.1.11"}
GONE = AnsibleConnectionFailure("Connection timed out")
Outcome = dict[str, t.Any] | Exception


class World:
    """A host that gives these outcomes when it is asked, and a clock that runs by sleeping. ``log`` is what happens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.outcomes: list[Outcome] = []
        self.log: list[t.Any] = []
        self.refusal = ""
        self.now = 0.0
        monkeypatch.setattr(_trial, "time", types.SimpleNamespace(monotonic=lambda: self.now, sleep=self._sleep))
        self._connection = types.SimpleNamespace(reset=lambda: self.log.append("reset"))

    def see_through(
        self, answers: Outcome | list[Outcome], variables: dict[str, t.Any], **options: t.Any
    ) -> dict[str, t.Any]:
        """See a change through that gives this answer each time, or these, the last one first."""

        def call() -> dict[str, t.Any]:
            return _give(answers.pop() if isinstance(answers, list) else answers)

        return _trial.see_through(t.cast("t.Any", self), "t", call, variables, **options)

    def _execute_module(self, module_name: str, module_args: dict[str, t.Any], task_vars: t.Any) -> dict[str, t.Any]:
        assert module_name == "wonder.mesh.mesh_confirm"
        self.log.append((module_args["trial"], module_args["verdict"]))
        if self.refusal:
            return {"failed": True, "msg": self.refusal}
        outcome = _give(self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0])
        return {"changed": False, "outcome": outcome}

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.log.append(seconds)


def _give(outcome: Outcome) -> dict[str, t.Any]:
    if isinstance(outcome, Exception):
        raise outcome
    return dict(outcome)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.mark.parametrize("variables", [INSIDE, OUTSIDE])
@pytest.mark.parametrize("answer", [DONE, {"failed": True, "msg": "no"}, {"changed": False}])
def test_a_host_that_makes_no_trial_of_it_costs_nothing(
    world: World, answer: dict[str, t.Any], variables: dict[str, t.Any]
) -> None:
    assert world.see_through(answer, variables, settle=5) == answer
    assert world.log == []


def test_a_host_outside_the_mesh_that_is_lost_is_unreachable_at_once(world: World) -> None:
    with pytest.raises(AnsibleConnectionFailure):
        world.see_through(GONE, OUTSIDE)
    assert world.log == []


@pytest.mark.parametrize("first", [ON_TRIAL, GONE])
def test_a_change_is_confirmed_over_a_new_connection(world: World, first: Outcome) -> None:
    world.outcomes = [DONE]
    assert world.see_through(first, INSIDE) == DONE
    assert world.log == [0, "reset", ("t", "keep")]


def test_a_change_on_trial_is_confirmed_wherever_its_host_is(world: World) -> None:
    world.outcomes = [DONE]
    assert world.see_through(ON_TRIAL, OUTSIDE) == DONE


def test_a_host_that_is_away_is_tried_again(world: World) -> None:
    world.outcomes = [GONE, GONE, DONE]
    assert world.see_through(GONE, INSIDE) == DONE
    assert world.log == [0, "reset", ("t", "keep"), 1, "reset", ("t", "keep"), 1, "reset", ("t", "keep")]


def test_a_confirmation_that_came_too_early_is_given_again_over_another_connection(world: World) -> None:
    world.outcomes = [ON_TRIAL, DONE]
    assert world.see_through(GONE, INSIDE) == DONE
    assert world.log.count("reset") == 2


def test_what_became_of_a_change_that_was_taken_back_is_the_result(world: World) -> None:
    failure = {"failed": True, "msg": "put back"}
    world.outcomes = [failure]
    assert world.see_through(ON_TRIAL, INSIDE) == failure


def test_the_verdict_is_found_after_what_it_takes_to_settle(world: World) -> None:
    world.outcomes = [DONE]

    def verdict() -> str:
        world.log.append("look")
        return "revert"

    world.see_through(ON_TRIAL, INSIDE, settle=5, verdict=verdict)
    assert world.log == [5, "look", "reset", ("t", "revert")]


def test_a_host_that_knows_nothing_of_the_change_is_asked_for_it_again(world: World) -> None:
    world.outcomes = [{}]
    answers: list[Outcome] = [DONE, GONE]
    assert world.see_through(answers, INSIDE) == DONE
    assert answers == []


def test_a_host_that_is_lost_twice_fails_with_what_to_do(world: World) -> None:
    world.outcomes = [{}]
    with pytest.raises(
        AnsibleActionFail, match="lost twice, and knows nothing of the change; look at it, and run again"
    ):
        world.see_through(GONE, INSIDE)


def test_a_host_that_cannot_be_asked_fails(world: World) -> None:
    world.refusal = "no Python"
    with pytest.raises(AnsibleActionFail, match="the change cannot be confirmed: no Python"):
        world.see_through(ON_TRIAL, INSIDE)


def test_a_host_that_never_comes_back_is_unreachable_once_it_must_have_taken_the_change_back(world: World) -> None:
    world.outcomes = [GONE]
    with pytest.raises(AnsibleConnectionFailure):
        world.see_through(ON_TRIAL, INSIDE)
    assert _trial.WINDOW < world.now <= 110


def test_each_change_has_a_name_of_its_own() -> None:
    assert len({_trial.new_trial() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ansible_host": "100.64.0.4"}, True),
        ({"ansible_host": "100.127.255.254"}, True),
        ({"ansible_host": "100.128.0.1"}, False),
        ({"ansible_host": "fd7a:115c:a1e0::4"}, True),
        ({"ansible_host": "fd7a:115c:a1e1::4"}, False),
        ({"ansible_host": "192.168.1.11"}, False),
        ({"ansible_host": "mini-1.mesh.example.com", "mesh_domain": "mesh.example.com"}, True),
        ({"ansible_host": "mini-1.mesh.example.com.", "mesh_domain": "mesh.example.com"}, True),
        ({"ansible_host": "mini-1.notmesh.example.com", "mesh_domain": "mesh.example.com"}, False),
        ({"ansible_host": "inside"}, True),
        ({"ansible_host": "outside"}, False),
        ({"ansible_host": "nobody"}, False),
        ({"inventory_hostname": "inside"}, True),
        ({"inventory_hostname": "outside"}, False),
    ],
)
def test_hosts_are_in_the_mesh_by_their_address_or_name(variables: dict[str, str], expected: bool) -> None:
    def resolve(name: str) -> str:
        try:
            return {"inside": "100.64.0.9", "outside": "203.0.113.9"}[name]
        except KeyError as exc:
            raise OSError("unknown name") from exc

    assert _trial.is_in_mesh({"inventory_hostname": "x", **variables}, resolve) is expected
