# SPDX-License-Identifier: MIT
"""A ``go`` that writes what it was asked to build for, and two programs that are built with it."""

from __future__ import annotations

import json
import os
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GO = """#!/bin/sh
cd "$(dirname "$0")/../programs/demo" || exit 1
case $1 in
env) cat ../../version ;;
build)
    echo "build $GOARCH $CGO_ENABLED $GOOS $GOTOOLCHAIN $*" >>../../log
    while [ "$1" != -o ]; do shift; done
    [ ! -e ../../slow ] || sleep 0.3
    echo "half" >"$2"
    [ ! -e ../../broken ] || { echo "demo.go:1: syntax error" >&2; exit 1; }
    echo "built for $GOARCH" >"$2"
    ;;
esac
"""
TABLE = {
    "demo": {
        "module": "example.com/demo",
        "binaries": {"demo": ".", "demod": "example.com/demo/cmd/demod"},
        "ldflags": "-X v={version}",
    },
    "other": {"module": "example.com/other", "binaries": {"other": "."}},
}
PINS = "module x\n\nrequire (\n\texample.com/demo/v2 v9.9.9\n\texample.com/demo v1.2.3\n)\n"


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory that it all lies in."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "go").write_text(GO)
    (tmp_path / "bin" / "go").chmod(0o755)
    (tmp_path / "version").write_text("go1.26.8\n")
    sources = tmp_path / "programs"
    for name in TABLE:
        (sources / name).mkdir(parents=True)
        (sources / name / "go.mod").write_text(PINS if name == "demo" else "require example.com/other v2.0.0\n")
        (sources / name / "go.sum").write_text("sums\n")
    (sources / "programs.json").write_text(json.dumps(TABLE))
    monkeypatch.setattr(_programs, "SOURCES", sources)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    _programs.go_version.cache_clear()
    yield tmp_path
    _programs.go_version.cache_clear()
