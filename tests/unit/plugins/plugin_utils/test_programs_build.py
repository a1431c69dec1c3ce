# SPDX-License-Identifier: MIT
"""Builds in the cache: complete, intact, made once."""

from __future__ import annotations

import gzip
import hashlib
import multiprocessing
import os
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils import _cache, _programs
from ansible_collections.wonder.mesh.plugins.plugin_utils._programs import ProgramError
from tools import programs as script

if t.TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("go")


def build(arch: str = "amd64") -> dict[str, _programs.Binary]:
    return _programs.find("demo").build(arch, lambda _line: None)


def builds(go: Path) -> int:
    """How many binaries were built until now."""
    return len((go / "log").read_text().splitlines())


def entries(go: Path) -> list[str]:
    return sorted(path.name for path in (go / "cache" / "wonder-mesh" / "programs").iterdir() if path.is_dir())


def test_an_entry_holds_each_binary_gzipped_and_a_manifest(go: Path) -> None:
    assert _programs.find("demo").cached("arm64") is None
    binaries = build("arm64")
    assert sorted(binaries) == ["demo", "demod"]
    content = b"built for arm64\n"
    for binary in binaries.values():
        assert (binary.sha256, binary.size) == (hashlib.sha256(content).hexdigest(), len(content))
        assert gzip.decompress(binary.archive.read_bytes()) == content
        assert binary.is_intact()
    (entry,) = entries(go)
    assert entry.startswith("demo-1.2.3-arm64-")
    assert sorted(path.name for path in binaries["demo"].archive.parent.iterdir()) == [
        "demo.gz",
        "demod.gz",
        "manifest.json",
    ]
    log = (go / "log").read_text()
    assert log.count("build arm64 0 linux local build -mod=readonly -trimpath -buildvcs=false") == 2
    assert "-ldflags -s -w -X v=1.2.3" in log


def test_what_is_in_the_cache_is_not_built_again(go: Path) -> None:
    first = build()
    assert build() == first == _programs.find("demo").cached("amd64")
    assert builds(go) == 2


def test_equal_builds_are_equal_archives(go: Path) -> None:
    first = {name: binary.archive.read_bytes() for name, binary in build().items()}
    (build()["demo"].archive.parent / "manifest.json").unlink()
    assert {name: binary.archive.read_bytes() for name, binary in build().items()} == first


def flip(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: flip(content, 0), id="header"),
        pytest.param(lambda content: flip(content, 10), id="first byte"),
        pytest.param(lambda content: flip(content, 20), id="in the middle"),
        pytest.param(lambda content: flip(content, -1), id="checksum"),
        pytest.param(lambda content: content[:-5], id="truncated"),
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(lambda content: gzip.compress(b"other"), id="other"),
    ],
)
def test_a_damaged_archive_is_found_and_built_again(go: Path, damage: t.Callable[[bytes], bytes]) -> None:
    archive = build()["demo"].archive
    whole = archive.read_bytes()
    archive.write_bytes(damage(whole))
    said: list[str] = []
    assert not _programs.find("demo").cached("amd64")["demo"].is_intact()  # type: ignore[index]
    assert _programs.find("demo").build("amd64", said.append)["demo"].is_intact()
    assert "demo 1.2.3 for amd64: the cached copy is damaged, making it anew" in said
    assert archive.read_bytes() == whole


def test_a_missing_archive_is_built_again(go: Path) -> None:
    build()["demo"].archive.unlink()
    assert build()["demo"].is_intact()


@pytest.mark.parametrize("manifest", ["", "{", "[]", "{}", '{"demo": {}}'])
def test_a_damaged_manifest_is_built_again(go: Path, manifest: str) -> None:
    (build()["demo"].archive.parent / "manifest.json").write_text(manifest)
    assert sorted(build()) == ["demo", "demod"]


def test_a_build_that_fails_shows_gos_words_and_leaves_nothing_that_is_used(go: Path) -> None:
    (go / "broken").touch()
    with pytest.raises(
        ProgramError, match=r"demo 1.2.3 for amd64: go build failed with exit status 1:\n.*syntax error"
    ):
        build()
    assert entries(go) == []
    (go / "broken").unlink()
    assert build()["demo"].is_intact()


def test_an_interrupted_build_leaves_nothing_that_is_used(go: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: t.Any) -> t.NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_cache, "_sha256", interrupt)
        with pytest.raises(KeyboardInterrupt):
            build()
    assert entries(go) == []
    # What SIGKILL leaves: a scratch directory, which has no entry's name.
    scratch = _programs.find("demo").entry("amd64")
    (scratch.parent / f".{scratch.name}.abc" / "entry").mkdir(parents=True)
    assert _programs.find("demo").cached("amd64") is None
    assert build()["demo"].is_intact()


def test_an_entry_appears_by_a_rename_when_it_is_complete(go: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[str], bool]] = []
    rename = _programs.pathlib.Path.rename

    def spy(source: Path, target: Path) -> Path:
        seen.append((sorted(path.name for path in source.iterdir()), target.exists()))
        return rename(source, target)

    monkeypatch.setattr(_programs.pathlib.Path, "rename", spy)
    build()
    assert seen == [(["demo.gz", "demod.gz", "manifest.json"], False)]


def test_two_builders_at_once_build_once(go: Path) -> None:
    (go / "slow").touch()
    context = multiprocessing.get_context("fork")
    builders = [context.Process(target=build) for _ in range(2)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(20)
        assert builder.exitcode == 0
    assert builds(go) == 2  # its two binaries


def test_the_second_builder_says_what_it_waits_for(go: Path) -> None:
    entry = _programs.find("demo").entry("amd64")
    entry.parent.mkdir(parents=True)
    said: list[str] = []

    def report(line: str) -> None:
        said.append(line)
        os.close(descriptor)

    path = entry.parent / f".{entry.name}.lock"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
    _cache.fcntl.flock(descriptor, _cache.fcntl.LOCK_EX)
    with _cache.locked(path, report):
        assert said == [f"waiting for another run that builds {entry.name}.lock"]


def test_the_script_builds_all_and_says_so(go: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--arch", "amd64"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if line.endswith("ready")] == [
        "demo 1.2.3 for amd64: ready",
        "other 2.0.0 for amd64: ready",
    ]
    (go / "version").write_text("go1.2\n")
    _programs.go_version.cache_clear()
    assert script.main(["--arch", "amd64"]) == 1
    assert "programs: Go on PATH is go1.2, which is too old." in capsys.readouterr().err
