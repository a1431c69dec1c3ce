# SPDX-License-Identifier: MIT
"""Each test is a run of Ansible of its own."""

from __future__ import annotations

import types
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils import _reading

if t.TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _own_run(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    directory: Path = tmp_path_factory.mktemp("run")
    monkeypatch.setattr(_reading, "C", types.SimpleNamespace(DEFAULT_LOCAL_TMP=str(directory)))
