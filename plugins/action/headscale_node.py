# SPDX-License-Identifier: MIT

"""The controller's half of ``headscale_node``: asks the coordinator only when its nodes are not known to be right."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.wonder.mesh.plugins.module_utils._headscale import HeadscaleError
from ansible_collections.wonder.mesh.plugins.module_utils._headscale_nodes import ARGUMENTS, settle
from ansible_collections.wonder.mesh.plugins.plugin_utils import _reading


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = dict(self._task.args)
        known = self._known(arguments, _reading.reading_of(_reading.host_of(self, variables)))
        if known is not None and not known["changed"]:
            return known
        try:
            return _reading.call(self, "wonder.mesh.headscale_node", arguments, variables)
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)

    def _known(self, arguments: dict[str, t.Any], reading: _reading.Reading | None) -> dict[str, t.Any] | None:
        """What a check of the nodes would say, if that can be told from here."""
        parameters = _reading.valid(arguments, ARGUMENTS) if arguments.keys() <= {"nodes", "policy"} else None
        if parameters is None or reading is None or "nodes" not in reading["headscale"]:
            return None
        known, policy, check_mode = reading["headscale"], parameters["policy"], self._task.check_mode
        try:
            return settle(
                known["nodes"], parameters["nodes"], None, lambda: known.get("policy"), policy, foretell=check_mode
            )
        except HeadscaleError:
            return None
