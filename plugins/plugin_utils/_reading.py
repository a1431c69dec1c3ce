# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""What a run has read of its hosts, for the tasks that come later in it.

It lies in the temporary directory that Ansible makes for each run and removes at its end: all processes of a run see
it, and no other run does.
"""

from __future__ import annotations

import hashlib
import json
import os
import typing as t
from pathlib import Path

from ansible import constants as C
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.wonder.mesh.plugins.plugin_utils._values import plain

if t.TYPE_CHECKING:
    from ansible.plugins.action import ActionBase

Reading = dict[str, t.Any]  # as mesh_host_info returns it


def keep(host: str, reading: Reading) -> None:
    """Remember what was read of a host."""
    path = _path(host)
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(reading), encoding="utf-8")
    temporary.replace(path)


def reading_of(host: str) -> Reading | None:
    """What this run has read of a host, unless something was changed there since."""
    try:
        reading: Reading = json.loads(_path(host).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return reading


def forget(host: str) -> None:
    """Something has changed on a host."""
    _path(host).unlink(missing_ok=True)


def host_of(action: ActionBase, variables: t.Mapping[str, t.Any]) -> str:
    """The inventory's name of the host that a task is about."""
    return str(action._task.delegate_to or variables["inventory_hostname"])


def call(action: ActionBase, module: str, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
    """Run a module on the task's host. What was read of the host counts no more, unless nothing was changed."""
    answer: dict[str, t.Any] = {}
    try:
        answer = action._execute_module(module_name=module, module_args=arguments, task_vars=variables)
    finally:
        if not action._task.check_mode and (answer.get("changed", True) or answer.get("failed")):
            forget(host_of(action, variables))
    answer.pop("invocation", None)  # whole configurations, which a diff shows better
    return answer


def valid(arguments: t.Mapping[str, t.Any], specification: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
    """The arguments with their defaults, as the module will have them; None when it will refuse them."""
    result = ArgumentSpecValidator(dict(specification)).validate(plain(dict(arguments)))
    return None if result.error_messages else dict(result.validated_parameters)


def _path(host: str) -> Path:
    directory = Path(C.DEFAULT_LOCAL_TMP) / "wonder_mesh"  # type: ignore[attr-defined]
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory / hashlib.sha256(host.encode()).hexdigest()[:32]
