# SPDX-License-Identifier: MIT
"""``mesh_leave``: who is asked for what, and what must not stop a removal."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure

from ansible_collections.wonder.mesh.plugins.action import mesh_leave
from ansible_collections.wonder.mesh.plugins.action.mesh_leave import ActionModule, is_in_mesh

ARGUMENTS = {"hostname": "nas", "coordinator": "hub", "domain": "mesh.example.com", "forget": False}
LEFT = {"changed": True, "diff": [{"before": "a node\n", "after": "logged out\n"}], "nodes": [], "unknown": []}

Run = t.Callable[..., dict[str, t.Any]]


class Coordinator:
    """Answers this, or raises it; remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: dict[str, t.Any] | Exception = LEFT
        self.asked: list[tuple[str, str, dict[str, t.Any]]] = []

    def run_module_on(
        self, _action: t.Any, host: str, module: str, arguments: dict[str, t.Any], _variables: t.Any
    ) -> dict[str, t.Any]:
        self.asked.append((host, module, arguments))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def coordinator(monkeypatch: pytest.MonkeyPatch) -> Coordinator:
    coordinator = Coordinator()
    monkeypatch.setattr(mesh_leave, "run_module_on", coordinator.run_module_on)
    monkeypatch.setattr(mesh_leave.ActionBase, "run", lambda *_: {})
    return coordinator


def leave(address: str = "192.168.1.5", **changes: t.Any) -> dict[str, t.Any]:
    """The host has no connection at all: it must not be called."""
    action = ActionModule.__new__(ActionModule)
    action._task = types.SimpleNamespace(args=ARGUMENTS | changes)
    answer: dict[str, t.Any] = action.run(None, {"ansible_host": address, "inventory_hostname": "nas"})
    return answer


@pytest.mark.parametrize(("forget", "state"), [(False, "expired"), (True, "absent")])
def test_the_coordinator_is_asked_for_this_node_alone(coordinator: Coordinator, forget: bool, state: str) -> None:
    answer = leave(forget=forget)
    assert coordinator.asked == [("hub", "wonder.mesh.headscale_node", {"nodes": [{"name": "nas", "state": state}]})]
    assert answer == {"changed": True, "diff": LEFT["diff"]}


@pytest.mark.parametrize(
    "answer", [AnsibleConnectionFailure("no route"), {"failed": True, "msg": "no route"}, {"unreachable": True}]
)
def test_a_coordinator_that_is_gone_is_a_warning(coordinator: Coordinator, answer: t.Any) -> None:
    coordinator.answer = answer
    result = leave()
    assert (result["changed"], result.get("failed", False)) == (False, False)
    assert "nas is still a node for the coordinator hub" in result["warnings"][0]
    assert result["warnings"][0].endswith("no route") or isinstance(answer, dict)


@pytest.mark.parametrize(
    "address", ["100.64.0.7", "fd7a:115c:a1e0::7", "nas.mesh.example.com", "NAS.mesh.example.com."]
)
def test_a_host_that_is_reached_through_the_mesh_is_refused(coordinator: Coordinator, address: str) -> None:
    with pytest.raises(AnsibleActionFail, match="would cut itself off half-way"):
        leave(address)
    assert coordinator.asked == []


@pytest.mark.parametrize("address", ["192.168.1.5", "100.128.0.1", "nas", "nas.example.com", "fd00::1"])
def test_other_addresses_are_outside(address: str) -> None:
    assert not is_in_mesh(address, "mesh.example.com")
