# SPDX-License-Identifier: MIT

"""All of wireguard_registry: merges what hosts showed with what the controller keeps, and calls no host."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.wonder.mesh.plugins.plugin_utils._gather import gather, refusal
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import plain
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_known import Known
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_learn import Learnt, Look, learn
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_registry import Registry, RegistryError
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_secret import SecretError

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "look": {"type": "str", "default": "__look"},
    "key": {"type": "str", "default": "__look_key"},
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        variables = task_vars or {}
        inventory = gather(variables["groups"], variables["hostvars"])
        known = Known(inventory, variables["hostvars"], self._loader.path_dwim)
        looks = {
            host: look
            for host in inventory.groups["nodes"]
            if (look := _look(variables["hostvars"][host], arguments["look"], arguments["key"])) is not None
        }
        try:
            before = known.read()
            learnt = learn(inventory, before, looks, foretold=self._task.check_mode)
            if learnt.outcome.model is None:
                return result | refusal(learnt.outcome.problems) | {"warnings": learnt.warnings}
            warnings = [*learnt.warnings, *self._keep(known, before, learnt, learnt.outcome.model)]
        except (RegistryError, SecretError) as exc:
            raise AnsibleActionFail(str(exc)) from None
        old, new = before.dumps(), learnt.registry.dumps()
        diff = [
            {"before_header": known.registry_file, "after_header": known.registry_file, "before": old, "after": new}
        ]
        return result | {
            "changed": old != new,
            "diff": diff if old != new else [],
            "warnings": warnings,
            "ansible_facts": {"mesh": learnt.outcome.model, "known_nodes": new},
        }

    def _keep(self, known: Known, before: Registry, learnt: Learnt, model: Model) -> list[str]:
        """Write what is new, unless this is a check. Returns the warnings."""
        if model["wireguard"]["preshared"] and not known.has_secret():
            if learnt.is_established:
                raise SecretError(
                    f"there is no mesh secret {known.secret_file}, but nodes that have pre-shared keys made from one. "
                    "Bring it from where this mesh was built; or, if it is lost, put the output of "
                    "`openssl rand -base64 32` into such a file of mode 0600, and run without --limit"
                )
            if not self._task.check_mode:
                known.make_secret()
        if self._task.check_mode or learnt.registry.dumps() == before.dumps():
            return []
        try:
            known.write(learnt.registry)
        except OSError as exc:
            reason = exc.strerror or exc
            return [
                f"{known.registry_file} cannot be written ({reason}), so only the nodes keep what this run has learnt"
            ]
        return []


def _look(variables: Mapping[str, t.Any], look: str, key: str) -> Look | None:
    """What the host showed in this run; None if it was not asked, or did not answer."""
    seen = plain(variables[look]) if look in variables else {}
    shown = seen.get("wireguard")
    if not isinstance(shown, Mapping) or not shown:
        return None
    made = plain(variables[key]) if key in variables else {}
    return Look(
        str(made.get("public_key") or shown.get("public_key") or ""),
        str(shown.get("error") or ""),
        str(shown.get("registry") or ""),
        bool(seen.get("tailscale")),
        tuple(shown.get("obstacles") or ()),
    )
