# SPDX-License-Identifier: MIT
"""`python -m fleet up`, killed before its Nth step:  killed_fleet.py N TOPOLOGY. With 0, all steps are told instead.

A step is what changes the machine: a program that is started, or a file, directory or link that is made, moved or
removed. It is told with the phase that it belongs to.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    from types import FrameType

STEPS = {
    "subprocess.Popen",
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.symlink",
    "os.chmod",
    "shutil.rmtree",
}
# In their order; the function that a phase is, by its file. The base tree is no phase here, since it is in the cache.
PHASES = {
    ("state.py", "_take"): "lock",
    ("leftovers.py", "clean"): "clean",
    ("machine.py", "prepare"): "machine",
    ("network.py", "make"): "network",
    ("nspawn.py", "_write_files"): "files",
    ("nspawn.py", "_start"): "start",
    ("ready.py", "_problem"): "wait",
    ("state.py", "complete"): "record",
}
WRITES = os.O_WRONLY | os.O_RDWR
ROOT = str(Path(__file__).parents[2])


class Steps:
    """Counts them, in all threads."""

    def __init__(self, last: int) -> None:
        self._last, self._count, self._lock = last, 0, threading.Lock()
        self._phase = "lock"

    def see(self, event: str, arguments: tuple[object, ...]) -> None:
        is_write = event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & WRITES)
        if event not in STEPS and not is_write:
            return
        with self._lock:
            self._count += 1
            self._phase = phase(sys._getframe(1)) or self._phase
            if self._last == 0:
                os.write(1, f"STEP {self._count} {self._phase} {event} {arguments[0]}\n".encode())
            elif self._count == self._last:
                os.kill(os.getpid(), signal.SIGKILL)


def phase(frame: FrameType | None) -> str:
    """The phase that this is called in; empty between two of them."""
    while frame:
        found = PHASES.get((os.path.basename(frame.f_code.co_filename), frame.f_code.co_name))
        if found:
            return found
        frame = frame.f_back
    return ""


if __name__ == "__main__":
    sys.path.insert(0, ROOT)
    from fleet.__main__ import guarded, main

    sys.addaudithook(Steps(int(sys.argv[1])).see)
    sys.exit(guarded(main, ["up", "--topology", sys.argv[2]]))
