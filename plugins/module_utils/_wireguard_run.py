# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""Commands of the host, from a module and from a unit. Each is bounded in time."""

from __future__ import annotations

import shutil
import subprocess
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    # ``run(command, input)``: exit status, standard output, standard error.
    Run = Callable[[Sequence[str], str], tuple[int, str, str]]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MISSING = 127  # the exit status when there is no such command
PATIENCE = 30  # seconds


def of_module(run_command: Callable[..., tuple[int, str, str]]) -> Run:
    """With the ``run_command`` of a module."""

    def run(command: Sequence[str], given: str) -> tuple[int, str, str]:
        path = shutil.which(command[0], path=PATH)
        if path is None:
            return MISSING, "", f"{command[0]} is missing"
        return run_command(["timeout", str(PATIENCE), path, *command[1:]], data=given or None)

    return run


def of_unit(command: Sequence[str], given: str) -> tuple[int, str, str]:
    """Without Ansible."""
    path = shutil.which(command[0], path=PATH)
    if path is None:
        return MISSING, "", f"{command[0]} is missing"
    try:
        done = subprocess.run(
            [path, *command[1:]], input=given, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return 124, "", f"{command[0]} gave no answer within {PATIENCE} s"
    return done.returncode, done.stdout, done.stderr
