# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""Commands of the host, for a program of ours that is no module."""

from __future__ import annotations

import os
import subprocess
import typing as t

ELSEWHERE = ("/sbin", "/usr/sbin", "/usr/local/sbin")  # where AnsibleModule looks, too


def run_command(
    command: t.Sequence[str], *, data: str | None = None, handle_exceptions: bool = True
) -> tuple[int, str, str]:
    """As AnsibleModule's: exit status, standard output and standard error. OSError if there is no such command."""
    del handle_exceptions  # there is nobody to tell
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *ELSEWHERE])
    done = subprocess.run(
        list(command),
        env={**os.environ, "PATH": path, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL if data is None else None,
        input=data,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
    )
    return done.returncode, done.stdout, done.stderr
