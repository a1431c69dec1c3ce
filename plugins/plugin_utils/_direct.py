# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Ask a host by a program of ours alone, without the wrapper and the library that Ansible sends with every module.

Most of what the smallest module costs is that library: 130 kB on the way, and three quarters of the CPU time of the
host. A question that every run asks of every host is worth a way without; what changes something is a module as usual.
"""

from __future__ import annotations

import json
import re
import shlex
import typing as t
import zlib

from ansible import constants as C

from ansible_collections.wonder.mesh.plugins.plugin_utils._bundle import PACKAGE, bundle

if t.TYPE_CHECKING:
    from ansible.plugins.action import ActionBase

# Of standard input, the first line are the arguments, and the rest is the program, which lies in memory only.
START = """\
import os, sys, zlib
arguments = sys.stdin.buffer.readline()
descriptor = os.memfd_create("wonder-mesh")
open(descriptor, "wb", closefd=False).write(zlib.decompress(sys.stdin.buffer.read()))
sys.path.insert(0, f"/proc/self/fd/{descriptor}")
import answer
answer.say(arguments)
"""
MAIN = f"""\
import json

from {PACKAGE}.NAME import answer
from {PACKAGE}._command import run_command


def say(arguments):
    try:
        print(json.dumps(answer(run_command, json.loads(arguments))))
    except Exception as exc:  # in -vvv it is told, and the module says it to whoever must mend it
        raise SystemExit(f"{{type(exc).__name__}}: {{exc}}") from None
"""
# Where Ansible finds the interpreter itself, it is not asked for it: that is a call of its own.
ANY = '"$(command -v /usr/bin/python3 || command -v python3)"'


def program(name: str) -> bytes:
    """What is sent to run ``answer(run_command, arguments)`` of a module util. Make it once, before Ansible forks."""
    return zlib.compress(bundle(MAIN.replace("NAME", name), "answer.py"))


def ask(
    action: ActionBase, sent: bytes, module: str, arguments: dict[str, t.Any], variables: dict[str, t.Any]
) -> dict[str, t.Any]:
    """The answer of a ``program`` on the task's host; of the module, if that is all that can be asked there.

    A program that fails is no answer: the module is asked then, too.
    """
    answer = _ask(action, sent, arguments, variables)
    return run_module(action, module, arguments, variables) if answer is None else answer


def run_module(
    action: ActionBase, module: str, arguments: dict[str, t.Any], variables: dict[str, t.Any]
) -> dict[str, t.Any]:
    """What the module says."""
    try:
        answer: dict[str, t.Any] = action._execute_module(
            module_name=module, module_args=arguments, task_vars=variables
        )
    finally:
        action._remove_tmp_path(action._connection._shell.tmpdir)
    return answer


def _ask(
    action: ActionBase, sent: bytes, arguments: dict[str, t.Any], variables: t.Mapping[str, t.Any]
) -> dict[str, t.Any] | None:
    python = _python(action, variables)
    if python is None or action._task.delegate_to or not action._connection.is_pipelining_enabled(False):
        return None
    said = action._low_level_execute_command(
        f"{python} -I -S -c {shlex.quote(START)}", in_data=json.dumps(arguments).encode() + b"\n" + sent
    )
    if said["rc"] != 0:
        return None
    try:
        answer: dict[str, t.Any] = json.loads(said["stdout"].strip().rpartition("\n")[2])  # a login may say more
    except ValueError:
        return None
    return answer


def _python(action: ActionBase, variables: t.Mapping[str, t.Any]) -> str | None:
    """The interpreter, for a shell; None when it is no plain path."""
    named = str(action._templar.template(C.config.get_config_value("INTERPRETER_PYTHON", variables=variables)))
    if named.startswith("auto"):
        return ANY
    return named if re.fullmatch(r"[\w/.+-]+", named) else None
