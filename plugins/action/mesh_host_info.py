# SPDX-License-Identifier: MIT

"""The controller's half of ``mesh_host_info``: asks, and keeps the answer for the rest of the run."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.wonder.mesh.plugins.plugin_utils import _direct, _reading

# Two, so that no host gets the code of a backend that it has not.
MODULES = {False: "mesh_host_info", True: "wireguard_host_info"}
PROGRAMS = {False: _direct.program("_host_info"), True: _direct.program("_wireguard_host_info")}


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec({"interface": {"type": "str", "default": ""}})
        variables, wireguard = task_vars or {}, bool(arguments["interface"])
        answer = _direct.ask(self, PROGRAMS[wireguard], arguments, variables)
        if answer is None:
            answer = self._ask_module(f"wonder.mesh.{MODULES[wireguard]}", arguments if wireguard else {}, variables)
        if not answer.get("failed"):
            _reading.keep(_reading.host_of(self, variables), answer)
        return answer

    def _ask_module(self, name: str, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        try:
            answer: dict[str, t.Any] = self._execute_module(
                module_name=name, module_args=arguments, task_vars=variables
            )
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return answer
