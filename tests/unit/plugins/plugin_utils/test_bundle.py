# SPDX-License-Identifier: MIT
"""Programs of ours, each as the one file that is sent to hosts."""

from __future__ import annotations

import subprocess
import sys
import typing as t
import zipfile

from ansible_collections.wonder.mesh.plugins.plugin_utils import _bundle
from ansible_collections.wonder.mesh.plugins.plugin_utils._bundle import agent

if t.TYPE_CHECKING:
    from pathlib import Path


def test_the_agent_runs_with_nothing_but_pythons_own_library(tmp_path: Path) -> None:
    path = tmp_path / "agent.pyz"
    path.write_bytes(agent())
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(path), "apply", "none0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, "wireguard-none0" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


def test_the_same_sources_are_the_same_bytes() -> None:
    first = agent()
    _bundle.bundle.cache_clear()
    assert agent() == first


def test_the_agent_holds_what_it_needs_and_nothing_of_ansible(tmp_path: Path) -> None:
    path = tmp_path / "agent.pyz"
    path.write_bytes(agent())
    with zipfile.ZipFile(path) as archive:
        names = {name.rpartition("/")[2] for name in archive.namelist()}
        assert not any(b"ansible.module_utils" in archive.read(name) for name in archive.namelist())
    assert {"_wireguard_watch.py", "_wireguard_netlink.py", "_x25519.py"} <= names
    assert "_daemon.py" not in names
