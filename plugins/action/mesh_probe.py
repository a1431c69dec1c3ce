# SPDX-License-Identifier: MIT

"""The controller's half of ``mesh_probe``: has its plan carried out with as little as possible sent."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.wonder.mesh.plugins.module_utils._probe import ARGUMENTS
from ansible_collections.wonder.mesh.plugins.plugin_utils import _direct, _reading

MODULE = "wonder.mesh.mesh_probe"
PROGRAM = _direct.program("_probe")  # once, before Ansible forks for each host


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        plan = _reading.valid(self._task.args, ARGUMENTS)
        if plan is None:  # what is wrong is for the module to say
            return _direct.run_module(self, MODULE, dict(self._task.args), task_vars or {})
        return _direct.ask(self, PROGRAM, MODULE, plan, task_vars or {})
