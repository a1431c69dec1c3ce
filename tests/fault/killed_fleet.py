# SPDX-License-Identifier: MIT
"""`python -m fleet up`, killed before the Nth step of a phase:  killed_fleet.py TOPOLOGY PHASE N

A step is what changes the machine: a program that is started, or a file, directory or link that is made, moved or
removed. How many there are depends on what other fleets have made and on the hosts; a phase with fewer of them ends
well, and the maker is killed before the last phase. Without a phase, all steps are told instead, each with its phase.
"""

from __future__ import annotations

import collections
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
LAST = "record"
# In their order; the function that a phase is, by its file. The base tree is no phase here, since it is in the cache.
PHASES = {
    ("state.py", "_take"): "lock",
    ("leftovers.py", "clean"): "clean",
    ("machine.py", "prepare"): "machine",
    ("network.py", "make"): "network",
    ("nspawn.py", "_write_files"): "files",
    ("nspawn.py", "_start"): "start",
    ("ready.py", "_problem"): "wait",
    ("state.py", "complete"): LAST,
}
WRITES = os.O_WRONLY | os.O_RDWR
ROOT = str(Path(__file__).parents[2])


class Steps:
    """Counts them in all threads, for each phase and, as those of the phase with no name, for all of them together."""

    def __init__(self, phase: str = "", last: int = 0) -> None:
        """Without a ``last`` one, they are told."""
        self._last, self._lock = (phase, last), threading.Lock()
        self._count = collections.Counter[str]()
        self._phase = "lock"

    def see(self, event: str, arguments: tuple[object, ...]) -> None:
        is_write = event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & WRITES)
        if event not in STEPS and not is_write:
            return
        with self._lock:
            self._phase = phase_of(sys._getframe(1)) or self._phase
            self._count.update((self._phase, ""))
            phase, last = self._last
            if not last:
                os.write(1, f"STEP {self._phase} {event} {arguments[0]}\n".encode())
            elif self._count[phase] == last or (self._phase == LAST and phase not in (LAST, "")):
                os.kill(os.getpid(), signal.SIGKILL)


def phase_of(frame: FrameType | None) -> str:
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

    topology, *point = sys.argv[1:]
    sys.addaudithook(Steps(*point[:1], *map(int, point[1:])).see)
    sys.exit(guarded(main, ["up", "--topology", topology]))
