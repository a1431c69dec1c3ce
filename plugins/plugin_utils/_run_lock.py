# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Lets one run at a time work on an inventory.

Tasks are run by processes that end with them, so none of them can hold a lock for the whole run. The file says which
process the run is and when that began; it counts while that process is there, and needs no release.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import socket
import subprocess
import typing as t

FILE = ".wonder-mesh.lock"  # hidden files of an inventory's directory are no inventory
SECONDS = 10
NOBODY = ""  # what tells a process that is not there


class Holder(t.NamedTuple):
    """The run that works on an inventory: on which machine and as which process, whose it is and since when (UTC).

    ``told`` tells its process from a later one of the same number.
    """

    machine: str
    pid: int
    told: str
    user: str
    since: str


def take(directory: str, pid: int) -> Holder | None:
    """Take the lock for the run with this process id; whoever has it already, if that is another run of this machine.

    Raises OSError where nothing can be written.
    """
    descriptor = os.open(os.path.join(directory, FILE), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "r+", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # of two that come at once, one reads what the other wrote
        held = _holder(stream.read())
        if held and held.machine == socket.gethostname() and held.pid != pid and held.told == _tell(held.pid) != NOBODY:
            return held
        user = os.environ.get("USER") or f"user {os.getuid()}"
        since = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M:%S}"
        stream.seek(0)
        stream.truncate()
        json.dump(Holder(socket.gethostname(), pid, _tell(pid), user, since)._asdict(), stream)
        stream.write("\n")
    return None


def _holder(text: str) -> Holder | None:
    """What a file says; nothing, where it says nothing that makes sense."""
    with contextlib.suppress(ValueError, TypeError):
        return Holder(**json.loads(text))
    return None


def _tell(pid: int) -> str:
    """When a process began, in the words of this system; NOBODY where there is none, or only what remains of one."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stream:
            state, *others = stream.read().rpartition(")")[2].split()
        return NOBODY if state in "ZX" else others[18]  # starttime, field 22
    except FileNotFoundError:
        if os.path.isdir("/proc/self"):
            return NOBODY
    command = ["ps", "-o", "lstart=", "-p", str(pid)]  # macOS
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False).stdout.strip()
