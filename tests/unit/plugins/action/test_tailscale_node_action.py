# SPDX-License-Identifier: MIT
"""The controller's half of ``tailscale_node``: when a key is minted, where it goes, and when it is revoked."""

from __future__ import annotations

import types
import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.wonder.mesh.plugins.action import tailscale_node
from ansible_collections.wonder.mesh.plugins.action.tailscale_node import MINT, ActionModule
from ansible_collections.wonder.mesh.plugins.plugin_utils import _reading

KEY = "hskey-auth-secret"
JOINED = {"changed": False, "joined": True, "addresses": ["100.64.0.1"], "key": "nodekey:1"}
LEFT = {"changed": True, "joined": False, "addresses": [], "key": ""}


class World:
    """A node that gives these answers, and a coordinator that mints this."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, check_mode: bool = False) -> None:
        self.answers: list[dict[str, t.Any]] = []
        self.minted: dict[str, t.Any] = {"changed": True, "key": KEY, "id": "7"}
        self.calls: list[dict[str, t.Any]] = []
        self.coordinator: list[tuple[str, str, dict[str, t.Any]]] = []
        self.sent: list[tuple[str, str, int]] = []
        self.cleaned: list[str] = []
        action = ActionModule.__new__(ActionModule)
        arguments = {"coordinator": "hub", "tags": ["tag:node"], "hostname": "mini-1", "key_file": "/etc/shadow"}
        action._task = types.SimpleNamespace(args=arguments, check_mode=check_mode, delegate_to=None)
        shell = types.SimpleNamespace(tmpdir="/tmp/there", join_path=lambda *parts: "/".join(parts))  # noqa: S108
        action._connection = types.SimpleNamespace(_shell=shell)
        monkeypatch.setattr(tailscale_node.ActionBase, "run", lambda *_: {})
        monkeypatch.setattr(action, "_execute_module", self._execute)
        monkeypatch.setattr(action, "_transfer_file", self._transfer)
        monkeypatch.setattr(action, "_remove_tmp_path", self.cleaned.append)
        monkeypatch.setattr(tailscale_node, "run_module_on", self._run_on)
        self.action = action

    def run(self, **arguments: t.Any) -> dict[str, t.Any]:
        self.action._task.args |= arguments
        answer: dict[str, t.Any] = self.action.run(None, {"inventory_hostname": "mini-1"})
        return answer

    def _execute(self, module_name: str, module_args: dict[str, t.Any], task_vars: t.Any) -> dict[str, t.Any]:
        assert module_name == "wonder.mesh.tailscale_node"
        self.calls.append(module_args)
        return dict(self.answers.pop(0), invocation={"module_args": module_args})

    def _run_on(
        self, _action: t.Any, host: str, module: str, arguments: dict[str, t.Any], _variables: t.Any
    ) -> dict[str, t.Any]:
        self.coordinator.append((host, module, arguments))
        return self.minted

    def _transfer(self, local: str, remote: str) -> str:
        self.sent.append((Path(local).read_text(), remote, Path(local).stat().st_mode & 0o777))
        return remote


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_a_node_that_has_joined_needs_no_key_and_one_call(world: World) -> None:
    world.answers = [JOINED]
    answer = world.run()
    assert (world.coordinator, world.sent, len(world.calls)) == ([], [], 1)
    assert answer["ansible_facts"] == {"tailscale_node": {"addresses": ["100.64.0.1"], "key": "nodekey:1"}}
    assert "invocation" not in answer


def test_one_that_has_not_gets_a_key_that_is_nowhere_but_in_a_private_file(world: World) -> None:
    world.answers = [LEFT, JOINED | {"changed": True}]
    answer = world.run()
    assert world.coordinator == [("hub", MINT, {"tags": ["tag:node"]})]
    assert world.sent == [(KEY, "/tmp/there/join-key", 0o600)]  # noqa: S108
    assert world.calls[1]["key_file"] == "/tmp/there/join-key"  # noqa: S108
    assert KEY not in repr(answer) + repr(world.calls)
    assert (answer["changed"], answer["joined"]) == (True, True)


def test_a_playbook_cannot_name_a_key_file(world: World) -> None:
    world.answers = [JOINED]
    world.run()
    assert "key_file" not in world.calls[0]


def test_check_mode_mints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, check_mode=True)
    world.answers = [LEFT]
    assert world.run()["changed"]
    assert (world.coordinator, world.sent) == ([], [])


@pytest.mark.parametrize("answer", [{"failed": True, "msg": "another mesh"}, {"unreachable": True, "msg": "gone"}])
def test_a_node_that_fails_gets_no_key(world: World, answer: dict[str, t.Any]) -> None:
    world.answers = [answer]
    assert world.run()["msg"] == answer["msg"]
    assert world.coordinator == []


@pytest.mark.parametrize("answer", [LEFT, {"failed": True, "msg": "`tailscale up` failed"}, {"unreachable": True}])
def test_a_key_that_joined_nobody_is_revoked(world: World, answer: dict[str, t.Any]) -> None:
    world.answers = [LEFT, answer]
    result = world.run()
    assert world.coordinator[1:] == [("hub", MINT, {"tags": ["tag:node"], "revoke": "7"})]
    assert KEY not in repr(result)


def test_a_key_is_revoked_when_it_cannot_be_sent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: str) -> t.NoReturn:
        raise AnsibleActionFail("the connection is gone")

    monkeypatch.setattr(world.action, "_transfer_file", fail)
    world.answers = [LEFT]
    with pytest.raises(AnsibleActionFail, match="the connection is gone"):
        world.run()
    assert world.coordinator[1:] == [("hub", MINT, {"tags": ["tag:node"], "revoke": "7"})]


@pytest.mark.parametrize(
    ("minted", "reason"),
    [({"failed": True, "msg": "no API key"}, "no API key"), ({"unreachable": True}, "it gave no reason")],
)
def test_a_coordinator_that_mints_nothing_is_named(world: World, minted: dict[str, t.Any], reason: str) -> None:
    world.minted, world.answers = minted, [LEFT]
    with pytest.raises(AnsibleActionFail, match=f"the coordinator hub minted no key for this node: {reason}"):
        world.run()


@pytest.mark.parametrize("answers", [[JOINED], [LEFT, JOINED]])
def test_nothing_stays_on_the_node(world: World, answers: list[dict[str, t.Any]]) -> None:
    world.answers = list(answers)
    world.run()
    assert world.cleaned == ["/tmp/there"]  # noqa: S108


KNOWN_STATUS = {"BackendState": "Running", "HaveNodeKey": True, "TailscaleIPs": ["100.64.0.1"]}
KNOWN_PREFERENCES = {"ControlURL": "https://hub.wm.test", "Hostname": "mini-1", "CorpDNS": True, "AutoUpdate": {}}


def look(status: dict[str, t.Any] | None = None, preferences: dict[str, t.Any] | None = None) -> None:
    """This run has looked at both hosts, and found a node as it is wanted, but for this."""
    status = KNOWN_STATUS | {"Self": {"PublicKey": "nodekey:1", "Relay": "r901"}} | (status or {})
    home = {"region": "901", "regions": {"901": "r901", "902": "r902"}}
    preferences = KNOWN_PREFERENCES | (preferences or {})
    _reading.keep("mini-1", {"node": {"status": status, "preferences": preferences, "home": home}})
    _reading.keep("hub", {"node": {}, "headscale": {"nodes": []}})


def test_a_node_that_is_known_to_be_as_wanted_costs_no_call(world: World) -> None:
    look()
    answer = world.run(login_server="https://hub.wm.test", regions=[901, 902])
    assert (world.calls, world.coordinator) == ([], [])
    assert answer.pop("ansible_facts") == {"tailscale_node": {"addresses": ["100.64.0.1"], "key": "nodekey:1"}}
    diff = answer.pop("diff")
    assert diff["before"] == diff["after"]
    assert answer == JOINED


@pytest.mark.parametrize(
    ("status", "preferences", "arguments"),
    [
        ({"BackendState": "NeedsLogin"}, {}, {}),
        ({"BackendState": "Stopped"}, {}, {}),
        ({"HaveNodeKey": False}, {}, {}),
        ({"Self": {"PublicKey": "nodekey:1", "Relay": "r902"}}, {}, {}),
        ({}, {}, {"regions": [902]}),
        ({}, {"Hostname": "mini-2"}, {}),
        ({}, {"ControlURL": "https://other.test"}, {}),
        ({}, {}, {"accept_dns": False}),
        ({}, {}, {"advertise_routes": ["10.0.0.0/8"]}),
        ({}, {}, {"socket": "/run/other.sock"}),
        ({}, {}, {"tags": None}),
    ],
)
def test_a_node_that_is_not_as_wanted_is_asked(
    world: World, status: dict[str, t.Any], preferences: dict[str, t.Any], arguments: dict[str, t.Any]
) -> None:
    look(status, preferences)
    world.answers = [JOINED]
    world.run(login_server="https://hub.wm.test", **arguments)
    assert len(world.calls) == 1


def test_after_a_join_nothing_is_known_of_the_node_and_its_coordinator(world: World) -> None:
    look({"BackendState": "NeedsLogin"})
    world.answers = [LEFT, JOINED | {"changed": True}]
    world.run()
    assert (_reading.reading_of("mini-1"), _reading.reading_of("hub")) == (None, None)


def test_a_check_leaves_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    look({"BackendState": "NeedsLogin"})
    world = World(monkeypatch, check_mode=True)
    world.answers = [LEFT]
    world.run()
    assert _reading.reading_of("mini-1") is not None
