# SPDX-License-Identifier: MIT

"""The controller's half of ``headscale_policy``: asks the coordinator only when its policy is not known to be right."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.wonder.mesh.plugins.plugin_utils import _reading
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import plain


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = dict(self._task.args)
        reading = _reading.reading_of(_reading.host_of(self, variables))
        if (
            reading
            and arguments.keys() == {"policy"}
            and reading["headscale"].get("policy") == plain(arguments["policy"])
        ):
            return {"changed": False, "diff": []}
        try:
            return _reading.call(self, "wonder.mesh.headscale_policy", arguments, variables)
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
