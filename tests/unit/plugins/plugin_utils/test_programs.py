# SPDX-License-Identifier: MIT
"""Which programs there are, which Go builds them, and what names a build."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs
from ansible_collections.wonder.mesh.plugins.plugin_utils._programs import ProgramError

if t.TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("go")


@pytest.mark.parametrize("version", ["", "1.2.3", "v1.2.3"])
def test_finds_the_pinned_version(version: str) -> None:
    program = _programs.find("demo", version)
    assert (program.name, program.version, program.ldflags) == ("demo", "1.2.3", "-X v=1.2.3")
    assert _programs.names() == ["demo", "other"]


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("nope", "", "unknown program nope; there are demo, other"),
        ("demo", "1.2.4", "unknown version 1.2.4 of demo; programs/demo pins 1.2.3"),
        ("demo", "v9.9.9", "unknown version v9.9.9 of demo; programs/demo pins 1.2.3"),
    ],
)
def test_refuses_what_is_not_pinned(name: str, version: str, message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        _programs.find(name, version)
    assert str(caught.value) == message


def test_a_program_without_a_pin_is_named(go: Path) -> None:
    (go / "programs" / "demo" / "go.mod").write_text("module x\n")
    with pytest.raises(ProgramError, match=r"programs/demo/go.mod does not require example.com/demo"):
        _programs.find("demo")


@pytest.mark.parametrize("found", ["go1.26.5", "go1.26", "go1.9", "devel", ""])
def test_an_old_go_is_refused_with_the_way_out(go: Path, found: str) -> None:
    (go / "version").write_text(found + "\n")
    with pytest.raises(ProgramError, match=r"which is too old. Install Go 1.26.6 or newer \(https://go.dev/dl/\)"):
        _programs.find("demo").build("amd64", print)


@pytest.mark.parametrize("found", ["go1.26.6", "go1.26.10", "go1.27", "go2.0"])
def test_a_newer_go_is_taken(go: Path, found: str) -> None:
    (go / "version").write_text(found + "\n")
    assert _programs.go_version() == found


def test_a_missing_go_is_named_with_the_way_out(go: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(go / "nothing"))
    with pytest.raises(ProgramError, match=r"`go` cannot be run .* Install Go 1.26.6 or newer .* on PATH"):
        _programs.find("demo").build("amd64", print)


def test_an_unknown_architecture_is_named() -> None:
    assert _programs.go_arch("aarch64") == "arm64"
    with pytest.raises(ProgramError, match="architecture m68k; there are builds for aarch64, armv7l, riscv64, x86_64"):
        _programs.go_arch("m68k")


@pytest.mark.parametrize("file", ["go.mod", "go.sum", "main.go"])
def test_another_pin_is_another_entry(go: Path, file: str) -> None:
    before = _programs.find("demo").key("amd64")
    path = go / "programs" / "demo" / file
    path.write_text((path.read_text() if path.exists() else "") + "// more\n")
    assert _programs.find("demo").key("amd64") != before


def test_another_go_or_architecture_or_flag_is_another_entry(go: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {_programs.find("demo").key("amd64"), _programs.find("demo").key("arm64")}
    (go / "version").write_text("go1.26.9\n")
    _programs.go_version.cache_clear()
    keys.add(_programs.find("demo").key("amd64"))
    monkeypatch.setattr(_programs, "BUILD_FLAGS", ("-trimpath",))
    keys.add(_programs.find("demo").key("amd64"))
    table = json.loads((go / "programs" / "programs.json").read_text())
    table["demo"]["ldflags"] = ""
    (go / "programs" / "programs.json").write_text(json.dumps(table))
    keys.add(_programs.find("demo").key("amd64"))
    assert len(keys) == 5
