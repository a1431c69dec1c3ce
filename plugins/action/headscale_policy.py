# SPDX-License-Identifier: MIT

"""The controller's half of ``headscale_policy``: asks the coordinator only when its policy is not known to be right."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.wonder.mesh.plugins.module_utils._headscale_policy import (
    settled_tags,
    tags_of,
    tests_all,
    to_have,
)
from ansible_collections.wonder.mesh.plugins.plugin_utils import _reading, _trial
from ansible_collections.wonder.mesh.plugins.plugin_utils._delegate import reachable
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import plain

ARGUMENTS = {"policy", "nodes", "needs"}  # those that roles give


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = dict(self._task.args)
        if self._is_known(plain(arguments), _reading.reading_of(_reading.host_of(self, variables))):
            return {"changed": False, "diff": []}
        others = [] if self._task.check_mode else self._in_mesh(variables)
        try:
            return self._on_trial(arguments, others, variables) if others else self._call(arguments, variables)
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)

    def _is_known(self, arguments: dict[str, t.Any], reading: _reading.Reading | None) -> bool:
        """Whether the policy is known to be in force, and leaves open what is needed as its own tests say."""
        if not reading or "nodes" not in reading["headscale"] or not {"policy"} <= arguments.keys() <= ARGUMENTS:
            return False
        policy, current, nodes = arguments["policy"], reading["headscale"].get("policy"), reading["headscale"]["nodes"]
        wanted = arguments.get("nodes")
        tags = settled_tags(nodes, wanted) if wanted else tags_of(nodes)
        return to_have(policy, current, tags) == current and tests_all(policy, arguments.get("needs", []))

    def _call(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        return _reading.call(self, "wonder.mesh.headscale_policy", arguments, variables)

    def _in_mesh(self, variables: dict[str, t.Any]) -> list[str]:
        """The hosts that this controller reaches through the mesh: a policy can cut it off from them."""
        return [host for host, its in variables["hostvars"].items() if _trial.is_in_mesh(its)]

    def _on_trial(
        self, arguments: dict[str, t.Any], others: list[str], variables: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        """Keep the new policy only if all of these hosts that answer before it answer after it too."""
        self._task.check_mode = True
        try:
            foretold = self._call(arguments, variables)
        finally:
            self._task.check_mode = False
        if not foretold.get("changed"):
            return foretold
        before = reachable(self, others, variables)
        lost: list[str] = []

        def verdict() -> str:
            lost[:] = sorted(before - reachable(self, before, variables))
            return "revert" if lost else "keep"

        arguments["trial"] = _trial.new_trial()
        answer = _trial.see_through(
            self, arguments["trial"], lambda: self._call(arguments, variables), variables, _trial.SETTLE, verdict
        )
        if answer.get("failed") and lost:
            answer["msg"] += f" With the new policy, this controller did not reach {', '.join(lost)}."
        return answer
