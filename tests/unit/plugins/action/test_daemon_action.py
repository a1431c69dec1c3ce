# SPDX-License-Identifier: MIT
"""The controller's half of ``daemon``: what it renders, what it sends and when."""

from __future__ import annotations

import gzip
import hashlib
import types
import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret

from ansible_collections.wonder.mesh.plugins.action import daemon
from ansible_collections.wonder.mesh.plugins.module_utils import _wanted
from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs, _reading, _sending

SECRET = "hunter2-secret"  # noqa: S105 - of nobody
DIGEST = hashlib.sha256(SECRET.encode()).hexdigest()
DONE = {"changed": False, "machine": "x86_64", "diff": []}


class Program:
    """A program whose cache is a dictionary."""

    name, version = "demo", "1.2.3"

    def __init__(self, directory: Path) -> None:
        self.built: list[str] = []
        self.cache: dict[str, dict[str, _programs.Binary]] = {}
        self._archive = directory / "demo.gz"

    def cached(self, arch: str) -> dict[str, _programs.Binary] | None:
        return self.cache.get(arch)

    def build(self, arch: str, _report: t.Any) -> dict[str, _programs.Binary]:
        self.built.append(arch)
        self._archive.write_bytes(gzip.compress(b"program"))
        digest = hashlib.sha256(b"program").hexdigest()
        self.cache[arch] = {"demo": _programs.Binary("demo", digest, 7, self._archive)}
        return self.cache[arch]


class World:
    """A host that gives these answers."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host = "mini-1"
        self.answers: list[dict[str, t.Any]] = [DONE]
        self.calls: list[dict[str, t.Any]] = []
        self.sent: dict[str, bytes] = {}
        self.modes: set[int] = set()
        self.cleaned: list[str] = []
        self.program = Program(directory)
        self.arguments: dict[str, t.Any] = {"name": "demo", "units": ["demo.service.j2"]}
        action = daemon.ActionModule.__new__(daemon.ActionModule)
        shell = types.SimpleNamespace(tmpdir="/there", join_path=lambda *parts: "/".join(parts))
        action._connection = types.SimpleNamespace(_shell=shell)
        action._loader = DataLoader()
        action._loader.set_basedir(str(directory))
        monkeypatch.setattr(_sending.ActionBase, "run", lambda *_: {})
        monkeypatch.setattr(action, "_render", lambda template: f"rendered {template}\n")
        monkeypatch.setattr(action, "_execute_module", self._execute)
        monkeypatch.setattr(action, "_transfer_file", self._transfer)
        monkeypatch.setattr(action, "_remove_tmp_path", self.cleaned.append)
        monkeypatch.setattr(_programs, "find", self._find)
        self._action = action

    def run(self, **arguments: t.Any) -> dict[str, t.Any]:
        self._action._task = types.SimpleNamespace(args=self.arguments | arguments, check_mode=False, delegate_to=None)
        answer: dict[str, t.Any] = self._action.run(None, {"inventory_hostname": self.host})
        return answer

    def _find(self, name: str, version: str) -> Program:
        if (name, version) not in (("demo", ""), ("demo", "1.2.3")):
            raise _programs.ProgramError(f"unknown version {version} of {name}; programs/demo pins 1.2.3")
        return self.program

    def _execute(self, module_name: str, module_args: dict[str, t.Any], task_vars: t.Any) -> dict[str, t.Any]:
        assert module_name == "wonder.mesh.daemon"
        self.calls.append(dict(module_args))
        return dict(self.answers.pop(0), invocation={"module_args": module_args})

    def _transfer(self, local: str, remote: str) -> str:
        self.sent[remote] = Path(local).read_bytes()
        self.modes.add(Path(local).stat().st_mode & 0o777)
        return remote


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_what_changes_nothing_costs_one_call_and_sends_nothing(world: World) -> None:
    world.program.build("amd64", None)
    answer = world.run(program="demo")
    assert (len(world.calls), world.sent, answer) == (1, {}, DONE)
    assert world.cleaned == ["/there"]


def test_units_become_files_and_names(world: World) -> None:
    world.run(units=["demo.socket.j2", "demo.service.j2"])
    assert world.calls[0]["units"] == ["demo.socket", "demo.service"]
    assert [(each["path"], each["content"]) for each in world.calls[0]["files"]] == [
        ("/etc/systemd/system/demo.socket", "rendered demo.socket.j2\n"),
        ("/etc/systemd/system/demo.service", "rendered demo.service.j2\n"),
    ]


def test_templates_contents_and_sources_become_contents(world: World, tmp_path: Path) -> None:
    (tmp_path / "hub.pem").write_text("certificate\n")
    files = [
        {"path": "/a", "template": "a.j2", "mode": "0640"},
        {"path": "/b", "content": "b\n"},
        {"path": "/c", "source": "hub.pem", "content": None},
    ]
    world.run(files=files)
    assert [each["content"] for each in world.calls[0]["files"][:3]] == ["rendered a.j2\n", "b\n", "certificate\n"]
    assert not any({"template", "source"} & set(each) for each in world.calls[0]["files"])
    assert world.calls[0]["files"][0]["mode"] == "0640"
    assert files[0]["template"] == "a.j2"


@pytest.mark.parametrize(
    ("file", "found"), [({}, "none"), ({"content": "", "template": "a.j2"}, "content and template")]
)
def test_a_file_has_one_origin(world: World, file: dict[str, str], found: str) -> None:
    with pytest.raises(AnsibleActionFail, match=f"/a: give one of template, content and source; found {found}"):
        world.run(files=[{"path": "/a", **file}])


def test_a_source_that_is_not_there_is_named(world: World) -> None:
    with pytest.raises(AnsibleActionFail, match=r"no.pem cannot be read on the controller: No such file"):
        world.run(files=[{"path": "/a", "source": "no.pem"}])


def test_a_secret_travels_only_when_the_host_lacks_it_and_in_no_argument(world: World) -> None:
    files = [{"path": "/a", "content": SECRET, "secret": True}]
    world.run(files=files)
    assert (world.calls[0]["files"][0]["sha256"], world.sent) == (DIGEST, {})
    world.answers = [DONE | {"missing": [DIGEST]}, DONE | {"changed": True}]
    answer = world.run(files=files)
    assert world.calls[-1]["uploads"] == {DIGEST: f"/there/{DIGEST}"}
    assert gzip.decompress(world.sent[f"/there/{DIGEST}"]).decode() == SECRET
    assert world.modes == {0o600}
    assert SECRET not in repr(world.calls) + repr(answer)
    assert (answer["changed"], "invocation" in answer, world.cleaned) == (True, False, ["/there", "/there"])


def test_the_first_host_of_its_architecture_has_the_program_built(world: World) -> None:
    digest = hashlib.sha256(b"program").hexdigest()
    world.answers = [
        {"changed": False, "machine": "aarch64", "missing": ["program"]},
        {"changed": True, "machine": "aarch64", "missing": [digest]},
        DONE,
    ]
    world.run(program="demo", version="1.2.3")
    assert world.program.built == ["arm64"]
    assert world.calls[1]["binaries"] == {"aarch64": [{"name": "demo", "sha256": digest, "label": "demo 1.2.3"}]}
    assert gzip.decompress(world.sent[f"/there/{digest}"]) == b"program"


def test_a_damaged_archive_is_built_again_before_it_is_sent(world: World) -> None:
    (binary,) = world.program.build("amd64", None).values()
    binary.archive.write_bytes(gzip.compress(b"other"))
    world.answers = [DONE | {"missing": [binary.sha256]}, DONE]
    world.run(program="demo")
    assert gzip.decompress(world.sent[f"/there/{binary.sha256}"]) == b"program"


def test_a_source_of_the_users_is_taken_instead_of_a_build(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"\x7fELF" + bytes(14) + b"\xb7\x00 for arm64"
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / "mine").write_bytes(content)
    program = _programs.Program("demo", "1.2.3", tmp_path, {"demo": "."}, "")
    monkeypatch.setattr(_programs, "find", lambda *_: program)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    world.answers = [
        {"changed": False, "machine": "aarch64", "missing": ["program"]},
        {"changed": True, "machine": "aarch64", "missing": [digest]},
        DONE,
    ]
    world.run(program="demo", program_source={"arm64": {"demo": {"file": "mine", "sha256": digest}}})
    assert world.calls[1]["binaries"] == {"aarch64": [{"name": "demo", "sha256": digest, "label": "demo given"}]}
    assert gzip.decompress(world.sent[f"/there/{digest}"]) == content
    assert not any("program_source" in call for call in world.calls)


def test_a_source_with_another_hash_is_refused_before_anything_is_sent(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").write_bytes(b"other")
    program = _programs.Program("demo", "1.2.3", tmp_path, {"demo": "."}, "")
    monkeypatch.setattr(_programs, "find", lambda *_: program)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    world.answers = [{"changed": False, "machine": "x86_64", "missing": ["program"]}]
    with pytest.raises(AnsibleActionFail, match="so it is refused"):
        world.run(program="demo", program_source={"amd64": {"demo": {"file": "mine", "sha256": 64 * "0"}}})
    assert (len(world.calls), world.sent) == (1, {})


def test_an_unknown_version_is_refused_before_the_host_is_asked(world: World) -> None:
    with pytest.raises(AnsibleActionFail, match=r"unknown version 9 of demo; programs/demo pins 1.2.3"):
        world.run(program="demo", version="9")
    assert world.calls == []


def test_an_architecture_without_builds_is_named(world: World) -> None:
    world.answers = [{"changed": False, "machine": "m68k", "missing": ["program"]}]
    with pytest.raises(AnsibleActionFail, match="no program is built for the architecture m68k"):
        world.run(program="demo")


@pytest.mark.parametrize("answer", [{"failed": True, "msg": "refused"}, {"unreachable": True, "msg": "gone"}])
def test_a_failure_is_the_answer(world: World, answer: dict[str, t.Any]) -> None:
    world.answers = [answer]
    assert world.run()["msg"] == answer["msg"]
    assert len(world.calls) == 1


def test_absent_needs_no_template_and_no_source(world: World) -> None:
    world.run(state="absent", files=[{"path": "/a", "source": "no.pem"}, {"path": "/b", "template": "gone.j2"}])
    assert [(each["path"], each["content"]) for each in world.calls[0]["files"]] == [
        ("/etc/systemd/system/demo.service", "")
    ]


def known(world: World, **arguments: t.Any) -> None:
    """This run has looked at the host, and found the daemon as these arguments want it."""
    world.run(**arguments)
    parameters = _reading.valid(world.calls.pop(), _wanted.ARGUMENTS)
    assert parameters is not None
    identity = _wanted.wanted(parameters, "x86_64").identity
    _reading.keep("mini-1", {"machine": "x86_64", "daemons": {"demo": identity}})


def test_a_daemon_that_is_known_to_be_as_wanted_costs_no_call(world: World) -> None:
    world.program.build("amd64", None)
    known(world, program="demo")
    answer = world.run(program="demo")
    assert (world.calls, world.sent) == ([], {})
    assert answer == {"changed": False, "diff": [], "restarted": False, "reloaded": False, "machine": "x86_64"}


@pytest.mark.parametrize(
    "change",
    [
        {"state": "stopped"},
        {"state": "absent"},
        {"files": [{"path": "/a", "content": "a"}]},
        {"files": [{"path": "/a", "content": SECRET, "secret": True}]},
        {"program": "demo"},
        {"check": ["demo", "check"]},
        {"mode": "no option"},
    ],
)
def test_a_daemon_that_is_wanted_otherwise_is_asked_for(world: World, change: dict[str, t.Any]) -> None:
    known(world)
    world.answers = [DONE]
    world.run(**change)
    assert len(world.calls) == 1


@pytest.mark.parametrize(
    ("answer", "calls"), [(DONE, 1), (DONE | {"changed": True}, 2), (DONE | {"failed": True, "msg": "no"}, 2)]
)
def test_what_was_read_counts_until_something_changes(world: World, answer: dict[str, t.Any], calls: int) -> None:
    known(world)
    world.answers = [answer, DONE]
    world.run(check=["another"])
    world.run()
    assert len(world.calls) == calls


def test_what_was_read_counts_no_more_when_the_host_is_lost_in_a_call(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(world)
    with monkeypatch.context() as patch:
        patch.setattr(world, "answers", [])
        with pytest.raises(IndexError):  # as the connection plugin raises
            world.run(check=["another"])
    assert _reading.reading_of("mini-1") is None


def test_what_was_read_of_one_host_says_nothing_about_another(world: World) -> None:
    known(world)
    world.host = "mini-2"
    world.answers = [DONE]
    world.run()
    assert len(world.calls) == 1


def test_a_vaulted_source_is_sent_as_what_it_holds(world: World, tmp_path: Path) -> None:
    password = VaultSecret(b"password of nobody")
    password.load()
    secrets = [("default", password)]
    (tmp_path / "vaulted").write_bytes(VaultLib(secrets).encrypt(SECRET, password))
    world._action._loader.set_vault_secrets(secrets)
    world.run(files=[{"path": "/a", "source": "vaulted", "secret": True}])
    assert world.calls[0]["files"][0]["sha256"] == DIGEST
