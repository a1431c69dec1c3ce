# SPDX-License-Identifier: MIT

"""The controller's half of ``derper_certificate``: asks the host only when it is not known to have a lasting one."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.wonder.mesh.plugins.module_utils._derp import ARGUMENTS, Certificate, file_of
from ansible_collections.wonder.mesh.plugins.plugin_utils import _reading


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = dict(self._task.args)
        reading = _reading.reading_of(_reading.host_of(self, variables))
        parameters = _reading.valid(arguments, ARGUMENTS)
        if reading is not None and parameters is not None:
            found = reading["relays"]["certificates"].get(file_of(parameters["hostname"]))
            if found and Certificate(*found).lasts(parameters["renew_days"]):
                return {"changed": False, "certificate": found[0]}
        try:
            return _reading.call(self, "wonder.mesh.derper_certificate", arguments, variables)
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
