# SPDX-License-Identifier: MIT

"""The controller's half of ``mesh_host_info``: keeps the answer for the rest of the run."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.wonder.mesh.plugins.plugin_utils import _reading


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec({"interface": {"type": "str", "default": ""}})
        variables, interface = task_vars or {}, arguments["interface"]
        # Two modules, so that no host gets the code of a backend that it has not.
        module, options = "wonder.mesh.mesh_host_info", {}
        if interface:
            module, options = "wonder.mesh.wireguard_host_info", {"interface": interface}
        try:
            answer: dict[str, t.Any] = self._execute_module(
                module_name=module, module_args=options, task_vars=variables
            )
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        if not answer.get("failed"):
            _reading.keep(_reading.host_of(self, variables), answer)
        return answer
