# SPDX-License-Identifier: MIT

"""All of ``derper_readmit``: the relays are started anew, one after the other."""

from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.wonder.mesh.plugins.plugin_utils import _reading, _trial
from ansible_collections.wonder.mesh.plugins.plugin_utils._delegate import run_module_on

SERVICE = "ansible.builtin.systemd_service"
RESTART = {"name": "derper.service", "state": "restarted"}
BETWEEN = 3.0  # seconds in which the nodes of one relay come back to it, before the next one is started anew


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        arguments = {"relays": {"type": "list", "elements": "str", "required": True}}
        _validation, given = self.validate_argument_spec(argument_spec=arguments)
        relays: list[str] = given["relays"]
        warnings = []
        if not self._task.check_mode:
            for number, relay in enumerate(relays):
                time.sleep(BETWEEN if number else _trial.SETTLE)
                reason = self._restart(relay, task_vars or {})
                if reason:
                    warnings.append(
                        f"{relay} was not started anew, and a node that was taken out may stay connected to it until "
                        f"its derper is. The reason: {reason}"
                    )
        return result | {"changed": len(warnings) < len(relays), "warnings": warnings}

    def _restart(self, relay: str, variables: dict[str, t.Any]) -> str:
        """Why it was not; empty if it was."""
        try:
            answer = run_module_on(self, relay, SERVICE, dict(RESTART), variables)
        except (AnsibleActionFail, AnsibleConnectionFailure) as exc:
            return str(exc)
        _reading.forget(relay)
        failed = answer.get("failed") or answer.get("unreachable")
        return str(answer.get("msg") or "it gave no reason") if failed else ""
