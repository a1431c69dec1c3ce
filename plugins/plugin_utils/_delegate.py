# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Run a module on another host from within an action, without a task of its own.

What a delegated task returns is registered, logged by callbacks and, at ``-vvv``, printed by the connection. A secret
that one host makes for another must pass through none of these, so it is fetched inside the action that needs it.
"""

from __future__ import annotations

import concurrent.futures
import copy
import typing as t

from ansible import constants as C
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.loader import become_loader, connection_loader

if t.TYPE_CHECKING:
    from ansible.plugins.action import ActionBase
    from ansible.plugins.connection import ConnectionBase


def run_module_on(
    action: ActionBase, host: str, module: str, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]
) -> dict[str, t.Any]:
    """The result of ``module`` on the inventory's ``host``, which may be outside the run's ``--limit``."""
    if host not in task_vars["hostvars"]:
        raise AnsibleActionFail(f"{host} is not in the inventory")
    variables = task_vars["hostvars"][host]
    there = _copy(action)
    there._connection = _connect(there, variables)
    own = {name: variables[name] for name in variables if name.startswith("ansible_")}
    try:
        result: dict[str, t.Any] = there._execute_module(
            module_name=module, module_args=arguments, task_vars={**task_vars, **own}
        )
    finally:
        there._remove_tmp_path(there._connection._shell.tmpdir)
        there._connection.close()
    return result


def reachable(action: ActionBase, hosts: t.Iterable[str], task_vars: dict[str, t.Any]) -> set[str]:
    """Those of the inventory's ``hosts`` to which a new connection can be made, and runs a command."""
    there = _copy(action)
    connections = {host: _connect(there, task_vars["hostvars"][host]) for host in hosts}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return {
            host for host, answers in zip(connections, pool.map(_answers, connections.values()), strict=True) if answers
        }


def _answers(connection: ConnectionBase) -> bool:
    connection.reset()  # one that was open already says nothing of a new one
    try:
        status: int = connection.exec_command("true", sudoable=False)[0]
    except AnsibleConnectionFailure:
        return False
    return status == 0


def _copy(action: ActionBase) -> ActionBase:
    """The action, to be used with another connection."""
    there = copy.copy(action)
    there._task = action._task.copy()
    there._task.environment = None
    there._play_context = action._play_context.copy()
    there._play_context.no_log = True  # or the connection prints what the module says, from -vvv on
    return there


def _connect(action: ActionBase, variables: t.Mapping[str, t.Any]) -> ConnectionBase:
    """A connection with the options that a task on that host would have."""
    task_keys = action._task.dump_attrs()
    task_keys.pop("retries", None)  # of tasks, not of connections
    task_keys["timeout"] = action._play_context.timeout
    name = variables.get("ansible_connection") or C.config.get_config_value("DEFAULT_TRANSPORT")
    connection: ConnectionBase | None = connection_loader.get(name, action._play_context)
    if connection is None:
        raise AnsibleActionFail(f"the connection plugin {name} was not found")
    if variables.get("ansible_become", action._task.become):
        method = variables.get("ansible_become_method") or action._task.become_method
        become = become_loader.get(method)
        if become is None:
            raise AnsibleActionFail(f"the become plugin {method} was not found")
        become.set_options(task_keys=task_keys, var_options=_options("become", method, variables))
        connection.set_become_plugin(become)
    connection.set_options(task_keys=task_keys, var_options=_options("connection", name, variables))
    shell = connection._shell
    shell.set_options(task_keys=task_keys, var_options=_options("shell", shell._load_name, variables))
    return connection


def _options(kind: str, name: str, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Those of the host's variables that this plugin reads."""
    return {each: variables[each] for each in C.config.get_plugin_vars(kind, name) if each in variables}
