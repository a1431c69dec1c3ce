# SPDX-License-Identifier: MIT
"""`wg`, the tool of WireGuard's own authors, agrees with us about every key and every peer."""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible_collections.wonder.mesh.plugins.module_utils._x25519 import new_private_key, public_of
from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs

if t.TYPE_CHECKING:
    import pytest

KEYS = 10_000
ROOT = Path(__file__).parents[2]


def test_ten_thousand_keys_have_the_public_keys_that_wg_says() -> None:
    private = [new_private_key() for _ in range(KEYS)]
    lines = "".join(f"{base64.b64encode(key).decode()}\n" for key in private)
    script = "while read -r key; do wg pubkey <<<$key; done"
    said = subprocess.run(
        ["bash", "-c", script], input=lines, capture_output=True, text=True, check=True, timeout=300
    ).stdout
    assert said.split() == [base64.b64encode(public_of(key)).decode() for key in private]


def test_wg_sees_every_peer_that_wireguard_go_was_told_of(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        archive = _programs.find("wireguard-go").build("amd64", print)["wireguard-go"].archive
    program = tmp_path / "wireguard-go"
    program.write_bytes(gzip.decompress(archive.read_bytes()))
    program.chmod(0o700)
    script = Path(__file__).with_name("kernel") / "process.py"
    done = subprocess.run(
        ["unshare", "--net", "--mount", sys.executable, str(script), str(program)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "collections")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    print(done.returncode, done.stdout, done.stderr)
    assert json.loads(done.stdout) == []
