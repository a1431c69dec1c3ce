# SPDX-License-Identifier: MIT

"""The action ``save`` of the tests: ``value`` goes to out.json beside the playbook, also in check mode.

``ansible.builtin.copy`` would do, but it starts two modules, which takes longer than most plays of the tests do.
"""

from __future__ import annotations

import json
import pathlib
import typing as t

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        path = pathlib.Path(task_vars["playbook_dir"], "out.json")
        path.write_text(json.dumps(self._task.args["value"]), encoding="utf-8")
        return {"changed": False}
