# SPDX-License-Identifier: MIT

"""The controller's half of ``headscale_relays_info``: asks the coordinator only when this run has not read it yet."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.wonder.mesh.plugins.plugin_utils import _reading


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        reading = _reading.reading_of(_reading.host_of(self, variables))
        if reading is not None:
            return {"changed": False, "regions": reading["relays"]["published"]}
        try:
            return _reading.call(self, "wonder.mesh.headscale_relays_info", dict(self._task.args), variables)
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
