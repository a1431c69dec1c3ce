# SPDX-License-Identifier: MIT
"""The controller's half of ``wireguard_interface``: what it sends, how, and when it need not ask the host at all."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import types
import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.wonder.mesh.plugins.action.wireguard_interface import ActionModule
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_daemon import ARGUMENTS, described
from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs, _reading, _sending, _supply
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_secret import preshared_keys
from tests.unit.plugins.modules.wireguard_host import key, peer, table

HOST = "nas"
DONE = {"changed": True, "public_key": key(HOST)}
SECRET = hashlib.sha256(b"the mesh").digest()
BINARY = hashlib.sha256(b"wireguard-go").hexdigest()


class Program:
    """wireguard-go, which the cache has for amd64."""

    name, version = "wireguard-go", "1"

    def __init__(self, archive: Path) -> None:
        self.built: list[str] = []
        self._archive = archive
        self.has = True

    def cached(self, arch: str) -> dict[str, t.Any] | None:
        found = types.SimpleNamespace(name="wireguard-go", sha256=BINARY, archive=self._archive, is_intact=lambda: True)
        return {"wireguard-go": found} if arch == "amd64" and self.has else None

    def build(self, arch: str, _report: t.Any) -> t.Any:
        self.built.append(arch)
        self.has = True
        return self.cached(arch)


class World:
    """A host that gives these answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.answers: list[dict[str, t.Any]] = [DONE]
        self.calls: list[dict[str, t.Any]] = []
        self.sent: dict[str, bytes] = {}
        self.modes: set[int] = set()
        self.program = Program(tmp_path / "archive.gz")
        self.secret = tmp_path / "secret"
        self.secret.touch(mode=0o600)
        self.secret.write_text(base64.b64encode(SECRET).decode())
        (tmp_path / "archive.gz").write_bytes(gzip.compress(b"wireguard-go"))
        action = ActionModule.__new__(ActionModule)
        action._task = types.SimpleNamespace(args={}, check_mode=False, delegate_to=None)
        shell = types.SimpleNamespace(tmpdir="/tmp/there", join_path=lambda *parts: "/".join(parts))  # noqa: S108
        action._connection = types.SimpleNamespace(_shell=shell)
        action._loader = types.SimpleNamespace(path_dwim=str, get_real_file=str)
        monkeypatch.setattr(_sending.ActionBase, "run", lambda *_: {})
        monkeypatch.setattr(_programs, "find", lambda *_: self.program)
        monkeypatch.setattr(_supply, "supplied", lambda program, *_: program)
        monkeypatch.setattr(action, "_execute_module", self._execute)
        monkeypatch.setattr(action, "_transfer_file", self._transfer)
        monkeypatch.setattr(action, "_remove_tmp_path", lambda _path: None)
        self.action = action

    def run(self, check_mode: bool = False, **arguments: t.Any) -> dict[str, t.Any]:
        self.action._task.args, self.action._task.check_mode = arguments, check_mode
        answer: dict[str, t.Any] = self.action.run(None, {"inventory_hostname": HOST})
        return answer

    def whole(self, **changes: t.Any) -> dict[str, t.Any]:
        return {"table": table(public_key=key(HOST)), "secret_file": str(self.secret), **changes}

    def _execute(self, module_name: str, module_args: dict[str, t.Any], task_vars: t.Any) -> dict[str, t.Any]:
        assert module_name == "wonder.mesh.wireguard_interface"
        self.calls.append(json.loads(json.dumps(module_args)))
        return dict(self.answers.pop(0), invocation={"module_args": module_args})

    def _transfer(self, local: str, remote: str) -> str:
        self.sent[remote] = gzip.decompress(Path(local).read_bytes())
        self.modes.add(
            Path(local).stat().st_mode & 0o077 if "there" in remote and local != str(self.program._archive) else 0
        )
        return remote


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    return World(monkeypatch, tmp_path)


def wanted_keys() -> dict[str, str]:
    names = {key(each["name"]): each["name"] for each in table()["peers"]}
    return {names[public]: made for public, made in preshared_keys(SECRET, key(HOST), names).items()}


def test_a_key_needs_one_call_and_nothing_else(world: World) -> None:
    world.run()
    assert (len(world.calls), world.sent, world.program.built) == (1, {}, [])


def test_pre_shared_keys_travel_in_private_files_and_in_no_argument(world: World) -> None:
    lacks = hashlib.sha256(json.dumps(wanted_keys(), sort_keys=True).encode()).hexdigest()
    world.answers = [{"changed": True, "missing": [lacks], "machine": "x86_64"}, DONE]
    world.run(**world.whole())
    assert json.loads(world.sent[world.calls[1]["uploads"][lacks]]) == wanted_keys()
    assert world.modes == {0}
    said = json.dumps(world.calls)
    assert [secret for secret in (*wanted_keys().values(), base64.b64encode(SECRET).decode()) if secret in said] == []


def look(**changes: t.Any) -> dict[str, t.Any]:
    found = {"public_key": key(HOST), "error": "", "registry": "r\n", "identity": "", "userspace": True}
    return {"machine": "x86_64", "wireguard": {**found, "preshared_sha256": hashlib.sha256().hexdigest(), **changes}}


def test_a_host_that_is_known_to_lack_keys_gets_them_with_the_first_call(world: World) -> None:
    _reading.keep(HOST, look())
    world.run(**world.whole())
    assert [call["preshared_keys"] for call in world.calls] == [wanted_keys()]
    assert ARGUMENTS["preshared_keys"]["no_log"]


def test_a_host_that_is_known_to_have_them_gets_none(world: World) -> None:
    has = hashlib.sha256(json.dumps(wanted_keys(), sort_keys=True).encode()).hexdigest()
    _reading.keep(HOST, look(preshared_sha256=has))
    world.run(**world.whole())
    assert ["preshared_keys" in call for call in world.calls] == [False]


def test_keys_that_are_given_are_in_no_argument_either(world: World) -> None:
    given = {each["name"]: key(f"with {each['name']}") for each in table()["peers"]}
    world.run(**world.whole(secret_file="", preshared_keys=given))
    assert [each for each in given.values() if each in json.dumps(world.calls)] == []


def test_what_the_host_has_is_not_sent_again(world: World) -> None:
    world.run(**world.whole())
    assert (len(world.calls), world.sent) == (1, {})


def test_a_program_is_built_when_a_host_asks_for_one(world: World) -> None:
    world.program.has = False
    world.answers = [
        {"changed": False, "missing": ["program"], "machine": "x86_64"},
        {"changed": True, "missing": [BINARY], "machine": "x86_64"},
        DONE,
    ]
    world.run(**world.whole())
    assert world.program.built[0] == "amd64"
    assert [bool(call["binaries"]) for call in world.calls] == [False, True, True]
    assert world.sent[world.calls[2]["uploads"][BINARY]] == b"wireguard-go"


def test_an_interface_that_is_known_to_be_as_wanted_needs_no_call(world: World) -> None:
    world.run(**world.whole())
    parameters = _reading.valid(world.calls[0], ARGUMENTS)
    assert parameters is not None
    identity = described(parameters, "x86_64", True).identity
    found = {"public_key": key(HOST), "error": "", "registry": "r\n", "identity": identity, "userspace": True}
    _reading.keep(HOST, {"machine": "x86_64", "wireguard": found})
    answer = world.run(**world.whole())
    assert (len(world.calls), answer["changed"], answer["public_key"]) == (1, False, key(HOST))
    world.answers = [DONE, DONE, DONE]
    for changes in (
        {"table": table(peer("hub-1", 1), public_key=key(HOST))},
        {"rules": {"input": [{"from": ["10.77.0.0/16"], "ports": ["tcp:22"]}]}},
        {"names": {"x": ["10.77.0.1"]}},
    ):
        _reading.keep(HOST, {"machine": "x86_64", "wireguard": found})
        world.run(**world.whole(**changes))
    assert len(world.calls) == 4


def test_a_key_that_is_known_needs_no_call_and_a_new_one_does(world: World) -> None:
    found = {"public_key": key(HOST), "error": "", "registry": "", "identity": "", "userspace": True}
    _reading.keep(HOST, {"machine": "x86_64", "wireguard": found})
    assert world.run()["public_key"] == key(HOST)
    assert world.calls == []
    world.run(regenerate=True)
    assert len(world.calls) == 1


def test_a_damaged_key_is_left_to_the_module_to_refuse(world: World) -> None:
    found = {"public_key": "", "error": "no key", "registry": "", "identity": "", "userspace": True}
    _reading.keep(HOST, {"machine": "x86_64", "wireguard": found})
    world.run()
    assert len(world.calls) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"table": table()}, "names no public_key"),
        ({"secret_file": ""}, "no pre-shared key for hub-1, hub-2"),
        ({"secret_file": "", "preshared_keys": {"hub-1": key("x")}}, "no pre-shared key for hub-2"),
    ],
)
def test_what_cannot_be_shared_is_refused_before_the_host_is_asked(
    world: World, changes: dict[str, t.Any], said: str
) -> None:
    with pytest.raises(AnsibleActionFail, match=said):
        world.run(**world.whole(**changes))
    assert world.calls == []


def test_a_secret_that_others_can_read_is_refused(world: World) -> None:
    world.secret.chmod(0o644)
    with pytest.raises(AnsibleActionFail, match="chmod 600"):
        world.run(**world.whole())


def test_a_check_before_the_first_run_needs_no_secret(world: World) -> None:
    world.secret.unlink()
    world.run(check_mode=True, **world.whole())
    assert len(world.calls) == 1
    world.answers = [DONE]
    with pytest.raises(AnsibleActionFail):
        world.run(**world.whole())


def test_another_version_than_the_pinned_one_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str, version: str) -> t.NoReturn:
        raise _programs.ProgramError(f"unknown version {version} of {name}")

    monkeypatch.setattr(_programs, "find", find)
    with pytest.raises(AnsibleActionFail, match="unknown version 9 of wireguard-go"):
        world.run(**world.whole(version="9"))
