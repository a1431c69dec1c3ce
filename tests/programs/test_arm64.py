# SPDX-License-Identifier: MIT
"""What is built here for a Raspberry Pi runs there: every binary says its pinned version in an emulator of its CPU."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs

if t.TYPE_CHECKING:
    from pathlib import Path

SECONDS = 120  # an emulator on a busy machine is slow; these take about one
BINARIES = [(name, binary) for name in _programs.names() for binary in sorted(_programs.find(name).packages)]
# Its module has no releases; this stands in its sources.
SAYS = {"wireguard-go": "0.0.20250522"}
ASK = {"caddy": "version", "headscale": "version"}  # of the others it is a flag


@pytest.fixture(scope="session")
def builds(request: pytest.FixtureRequest) -> dict[str, dict[str, _programs.Binary]]:
    """The builds for arm64, from the cache; the first ones take some ten minutes, and say how far they are."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        return {name: _programs.find(name).build("arm64", print) for name in _programs.names()}


@pytest.mark.parametrize(("name", "binary"), BINARIES)
def test_a_binary_for_arm64_runs_and_says_its_pinned_version(
    builds: dict[str, dict[str, _programs.Binary]], tmp_path: Path, name: str, binary: str
) -> None:
    path = tmp_path / binary
    with gzip.open(builds[name][binary].archive) as source, open(path, "wb") as sink:
        shutil.copyfileobj(source, sink)
    path.chmod(0o700)
    command = ["qemu-aarch64", str(path), ASK.get(binary, "--version")]
    said = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True, cwd=tmp_path).stdout
    assert SAYS.get(name, _programs.find(name).version) in said.replace("v", " ").split()
