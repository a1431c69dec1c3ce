# SPDX-License-Identifier: MIT
"""A world of Lima's in a directory of its own."""

from __future__ import annotations

import json
import os

import pytest
from lima_world import HERE, LINES, SSH, World

from fleet import limactl


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> World:
    place = tmp_path_factory.mktemp("l")
    for name, source in (("limactl", (HERE / "limactl.py").read_text()), ("ssh", SSH)):
        (place / name).write_text(source)
        (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_CALLS", str(place / "calls"))
    monkeypatch.setenv("FAKE_LINE", json.dumps(LINES["box"]))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(limactl, "SOCKET", 1000)  # pytest's own paths are long
    world = World(place)
    world.state.path.mkdir(parents=True)
    return world
