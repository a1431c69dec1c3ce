# SPDX-License-Identifier: MIT
"""What Ansible's main process does once for all that it forks, each in a process that loads plugins as Ansible does."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import typing as t
from pathlib import Path

import pytest

if t.TYPE_CHECKING:
    from collections.abc import Callable

    Main = Callable[[str], str]

ROOT = Path(__file__).parents[4]
LOAD = """
import os, sys
from ansible.plugins.loader import action_loader, init_plugin_loader
init_plugin_loader([])
ours = "ansible_collections.wonder.mesh.plugins"
"""


@pytest.fixture
def main(tmp_path: Path) -> Main:
    """Run some Python where Ansible's plugin loader is at work; what it prints. ``go`` notes that it was called."""

    def main(code: str) -> str:
        (tmp_path / "go").write_text(f"#!/bin/sh\necho called >>{tmp_path}/calls\necho go1.26.8\n")
        (tmp_path / "go").chmod(0o755)
        own = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        own["PYTHONDONTWRITEBYTECODE"] = ""
        command = [sys.executable, "-c", LOAD + textwrap.dedent(code)]
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | own, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return main


@pytest.mark.parametrize("name", ["plugin_utils._values", "module_utils._wanted"])
def test_our_modules_are_compiled_once_and_not_in_every_run(main: Main, name: str) -> None:
    said = main(f"""
        for action in ("mesh_lock", "daemon"):  # as in a run
            action_loader.get(f"wonder.mesh.{{action}}", class_only=True)
        module = sys.modules[f"{{ours}}.{name}"]
        print(type(module.__loader__).__name__, os.path.exists(module.__spec__.cached))
    """)
    assert said.split() == ["SourceFileLoader", "True"]


def test_a_module_that_is_not_there_is_still_told_by_ansible(main: Main) -> None:
    said = main("""
        action_loader.get("wonder.mesh.daemon", class_only=True)
        try:
            __import__(f"{ours}.plugin_utils._nowhere")
        except ImportError as exc:
            print(exc)
    """)
    assert "_nowhere" in said


def test_go_is_asked_once_for_all_hosts(main: Main, tmp_path: Path) -> None:
    main("""
        action_loader.get("wonder.mesh.daemon", class_only=True)
        for _host in range(3):
            if not os.fork():
                sys.modules[f"{ours}.plugin_utils._programs"].go_version()
                os._exit(0)
            os.wait()
    """)
    assert (tmp_path / "calls").read_text().split() == ["called"]


def test_our_filters_are_loaded_before_hosts_are_looked_at(main: Main) -> None:
    said = main("""
        before = f"{ours}.filter.mesh_policy" in sys.modules
        action_loader.get("wonder.mesh.mesh_host_info", class_only=True)
        print(before, f"{ours}.filter.mesh_policy" in sys.modules)
    """)
    assert said.split() == ["False", "True"]
