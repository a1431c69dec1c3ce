# SPDX-License-Identifier: MIT
"""Each test is a run of Ansible of its own."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.wonder.mesh.plugins.plugin_utils import _reading

if t.TYPE_CHECKING:
    from pathlib import Path


Run = t.Callable[..., list[dict[str, t.Any]]]


@pytest.fixture(autouse=True)
def _own_run(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    directory: Path = tmp_path_factory.mktemp("run")
    monkeypatch.setattr(_reading, "C", types.SimpleNamespace(DEFAULT_LOCAL_TMP=str(directory)))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one of the actions for the host ``hub``; its answer, then the arguments of each remote call that it made."""

    def run(module: types.ModuleType, **arguments: t.Any) -> list[dict[str, t.Any]]:
        calls: list[dict[str, t.Any]] = []

        def execute(module_args: dict[str, t.Any], **_: t.Any) -> dict[str, t.Any]:
            calls.append(module_args)
            return {"changed": True}

        action = module.ActionModule.__new__(module.ActionModule)
        action._task = types.SimpleNamespace(args=arguments, check_mode=False, delegate_to=None)
        action._connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir=None))
        monkeypatch.setattr(ActionBase, "run", lambda *_: {})
        monkeypatch.setattr(action, "_execute_module", execute)
        monkeypatch.setattr(action, "_remove_tmp_path", lambda _path: None)
        return [action.run(None, {"inventory_hostname": "hub", "hostvars": {}}), *calls]

    return run
