# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""A change on trial: kept if its maker comes back over a new connection and says so, and taken back otherwise.

Network devices call it a confirmed commit (RFC 6241, 8.4). A process of its own makes the change, so that the change
may end the session that asked for it, and undoes it when nobody confirms, be it that nobody can or that nobody lives.
It listens on a Unix socket named after the trial; M(wonder.mesh.mesh_confirm) is what connects.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable

    RunCommand = Callable[..., tuple[int, str, str]]
    Prove = Callable[[], None]

ROOT = "/run"
WINDOW = 45  # seconds in which the change must be confirmed, so that the host is back within 60
LINGER = 60  # seconds that the outcome waits for somebody to fetch it
PATIENCE = 180  # seconds that the change itself may take, or taking it back
# The answer while there is none. It counts as a change, which is what it most likely is.
ON_TRIAL = {"changed": True, "on_trial": True}
KEEP, REVERT = b"keep", b"revert"


class TrialError(Exception):
    """The change was not confirmed; the message says why."""


def on_trial(
    trial: str, change: Callable[[Prove], dict[str, t.Any]], run_command: RunCommand, root: str = ROOT
) -> dict[str, t.Any]:
    """Make a change in a process that outlives this session; what to answer in this session.

    ``change`` is given a function that returns when the change is confirmed and raises TrialError when it is not; it
    must then undo what it did, and raise. What it returns or raises is told to who confirms; here, there is nothing to
    say yet. Without the name of a trial nobody will confirm, and the change is simply made.
    """
    if not trial:
        return change(lambda: None)
    directory, path = _paths(trial, root)
    os.mkdir(directory, mode=0o700)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            os.close(reader)
            _detach(trial, run_command)
            _Trial(listener, writer).run(change)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(path)
                os.rmdir(directory)
            os._exit(0)  # and nothing of what the module would do at its end
    os.close(writer)
    listener.close()
    os.read(reader, 1)  # until the change is made, or has failed
    return dict(ON_TRIAL)


def begun(trial: str, root: str = ROOT) -> bool:
    """Whether this host knows of that trial already: then SSH itself asks again, having lost its connection."""
    return bool(trial) and os.path.isdir(_paths(trial, root)[0])


def _paths(trial: str, root: str) -> tuple[str, str]:
    """The directory of a trial, which only root may enter, and the socket in it."""
    directory = os.path.join(root, f"wonder-mesh-trial-{trial}")
    return directory, os.path.join(directory, "socket")


def ask(trial: str, verdict: bytes, root: str = ROOT) -> dict[str, t.Any] | None:
    """Give the verdict on a change; what became of it. None when this host knows nothing of it (any more)."""
    try:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(PATIENCE)
            asking.connect(_paths(trial, root)[1])
            asking.sendall(verdict)
            asking.shutdown(socket.SHUT_WR)
            with asking.makefile("rb") as stream:
                said = stream.read()
    except OSError:
        return None
    return json.loads(said) if said else None


class _Trial:
    """The process that makes the change."""

    def __init__(self, listener: socket.socket, writer: int) -> None:
        self._listener = listener
        self._writer = writer
        self._judge: socket.socket | None = None

    def run(self, change: Callable[[Prove], dict[str, t.Any]]) -> None:
        try:
            outcome = change(self._prove)
        except Exception as exc:
            outcome = {"failed": True, "msg": str(exc) or type(exc).__name__}
        self._release()
        deadline = time.monotonic() + LINGER
        judge = self._judge
        while judge is None or not _answer(judge, outcome):
            judge, _verdict = self._accept(deadline)
            if judge is None:
                return

    def _release(self) -> None:
        """Close what the module had open: its session ends, and whoever waits for its lock may go on."""
        kept = {0, 1, 2, self._listener.fileno(), *([self._judge.fileno()] if self._judge else [])}
        for descriptor in {int(name) for name in os.listdir("/proc/self/fd")} - kept:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _prove(self) -> None:
        # Who came before the change was made has proven nothing.
        judge: socket.socket | None
        while (judge := self._accept(time.monotonic())[0]) is not None:
            _answer(judge, ON_TRIAL)
        os.close(self._writer)
        judge, verdict = self._accept(time.monotonic() + WINDOW)
        self._judge = judge
        if judge is None:
            raise TrialError(f"The controller did not come back over a new connection within {WINDOW} s of the change")
        if verdict != KEEP:
            raise TrialError("The change cuts the controller off")

    def _accept(self, deadline: float) -> tuple[socket.socket | None, bytes]:
        """The next that comes, and its verdict; None when nobody does until then."""
        while True:
            self._listener.settimeout(max(0.0, deadline - time.monotonic()))
            try:
                judge, _address = self._listener.accept()
            except (BlockingIOError, socket.timeout):
                return None, b""
            judge.settimeout(5)
            with contextlib.suppress(OSError):
                verdict = judge.recv(16)
                if verdict in (KEEP, REVERT):
                    return judge, verdict
            judge.close()


def _answer(judge: socket.socket, answer: dict[str, t.Any]) -> bool:
    with contextlib.suppress(OSError), judge:
        judge.sendall(json.dumps(answer).encode())
        return True
    return False


def _detach(trial: str, run_command: RunCommand) -> None:
    """Leave the session: its terminal, its pipes and its control group, which may all end."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    os.close(null)
    # Where logind ends what a user leaves behind, a scope of its own saves it. Without a bus there is no logind either.
    manager = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"]
    scope = [f"wonder-mesh-trial-{trial}.scope", "fail", "1", "PIDs", "au", "1", str(os.getpid()), "0"]
    run_command(["timeout", "10", "busctl", "call", *manager, "StartTransientUnit", "ssa(sv)a(sa(sv))", *scope])
