# SPDX-License-Identifier: MIT

"""The controller's only half of mesh_lock: lets one run at a time work on an inventory."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.wonder.mesh.plugins.plugin_utils._run_lock import FILE, take


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec({"directory": {"type": "path", "required": True}})
        if self._task.check_mode:
            return result | {"changed": False}
        try:
            holder = take(arguments["directory"], os.getppid())  # this process ends with the task
        except OSError as exc:
            reason = f"{arguments['directory']}/{FILE} cannot be written: {exc.strerror or exc}"
            return result | {"changed": False, "warnings": [f"mesh_lock: {reason}; nothing keeps a second run away"]}
        if holder:
            raise AnsibleActionFail(
                f"mesh_lock: another run works on this inventory: process {holder.pid} of {holder.user}, since"
                f" {holder.since} UTC. Wait for it, or end it by `kill {holder.pid}`, and start again. Nothing was"
                " changed"
            )
        return result | {"changed": False}
