# SPDX-License-Identifier: MIT

"""The controller's only half of mesh_result: collects what the hosts measured, writes the verdict and shows it."""

from __future__ import annotations

import json
import os
import tempfile
import typing as t

import jsonschema_rs
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.color import ANSIBLE_COLOR

from ansible_collections.wonder.mesh.plugins.plugin_utils._shape import ShapeError, check_model
from ansible_collections.wonder.mesh.plugins.plugin_utils._table import render
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import plain
from ansible_collections.wonder.mesh.plugins.plugin_utils._verdict import judge

if t.TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA_FILE = os.path.join("docs", "result.schema.json")
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "model": {"type": "dict", "required": True},
    "result_file": {"type": "path", "required": True},
    "paths": {"type": "str", "choices": ["strict", "warn"], "default": "warn"},
    "register": {"type": "str", "default": "__verify_probe"},
    "controller": {"type": "dict"},
}


class ActionModule(ActionBase):
    """Judges; never fails because of what it found, so that whoever calls it has the result first."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        outcome: dict[str, t.Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        variables = task_vars or {}
        try:
            model = check_model(plain(arguments["model"]))
        except ShapeError as exc:
            raise AnsibleActionFail(f"mesh_result: {exc}") from exc
        measured = {
            host: _measurement(variables["hostvars"][host], arguments["register"])
            for host in variables["ansible_play_hosts_all"]
        }
        result = judge(model, measured, plain(arguments["controller"]), arguments["paths"] == "strict")
        check_shape(result)
        if not self._task.check_mode:
            path = self._loader.path_dwim(arguments["result_file"])
            try:
                write_private(path, json.dumps(result, indent=2, allow_nan=False) + "\n")
            except OSError as exc:
                reason = exc.strerror or exc
                hint = "set mesh_result_file to a file that can be written"
                raise AnsibleActionFail(f"mesh_result: {path} cannot be written: {reason}; {hint}") from exc
        table = render(result)
        self._display.display("\n".join(render(result, colour=True) if ANSIBLE_COLOR else table))
        return outcome | {"changed": False, "result": result, "table": table}


def _measurement(variables: Mapping[str, t.Any], name: str) -> t.Any:
    """What the host's probe returned; None for a host on which it never ran."""
    return plain(variables[name]) if name in variables else None


def check_shape(result: dict[str, t.Any]) -> None:
    """Nobody gets a result that the published schema does not describe."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    with open(os.path.join(root, SCHEMA_FILE), encoding="utf-8") as stream:
        jsonschema_rs.validator_for(json.load(stream)).validate(result)


def write_private(path: str, text: str) -> None:
    """Replace the file at once, readable by its owner alone from its first moment."""
    fd, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".result-")  # mkstemp makes it 0600
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
