# SPDX-License-Identifier: MIT

"""The controller's half of ``mesh_host_info``: asks, and keeps the answer for the rest of the run."""

from __future__ import annotations

import gc
import typing as t

from ansible.plugins.action import ActionBase
from ansible.plugins.loader import filter_loader

from ansible_collections.wonder.mesh.plugins.plugin_utils import _direct, _reading

# All this is done once, before Ansible forks for each host.
# Two, so that no host gets the code of a backend that it has not.
MODULES = {False: "mesh_host_info", True: "wireguard_host_info"}
PROGRAMS = {False: _direct.program("_host_info"), True: _direct.program("_wireguard_host_info")}
# Whoever asks for one filter of a collection makes Ansible load all of them, and most forks would.
filter_loader.get("wonder.mesh.nodes_elsewhere")
# A fork that comes to collect garbage looks through all that it has inherited, which takes longer than anything of
# ours; the documentation of gc.freeze names this case.
gc.freeze()


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec({"interface": {"type": "str", "default": ""}})
        variables, wireguard = task_vars or {}, bool(arguments["interface"])
        module = f"wonder.mesh.{MODULES[wireguard]}"
        answer = _direct.ask(self, PROGRAMS[wireguard], module, arguments if wireguard else {}, variables)
        if not answer.get("failed"):
            _reading.keep(_reading.host_of(self, variables), answer)
        return answer
