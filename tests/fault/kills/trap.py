# SPDX-License-Identifier: MIT
"""Runs on a host of the fleet, with the standard library: a process tree, watched and killed at its system calls.

The tree gets a seccomp filter that asks us before each call that could change something. The kernel holds the caller
until we answer, so a kill comes exactly before the call, in the module's Python as well as in any command that it runs.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import select
import signal
import socket
import struct
import time
import typing as t

from syscalls import Event, event_of, program

if t.TYPE_CHECKING:
    from collections.abc import Callable

SECCOMP, SET_FILTER, NEW_LISTENER, CONTINUE = 317, 1, 8, 1
RECEIVE, SEND = 0xC0502100, 0xC0182101


class Outcome(t.NamedTuple):
    """What became of a tree: its events, its exit status, what it said, and whether it was killed."""

    events: list[Event]
    status: int
    said: bytes
    killed: bool


def run(
    argv: list[str],
    stdin: str,
    decide: Callable[[Event], str],
    release: Callable[[Outcome], None],
    patience: float = 60,
) -> None:
    """Run a command with this file as its input. ``decide`` is asked at each event: "go", "all" kills the whole tree
    before the call, "alone" kills only the process itself and lets what it started go on.

    ``release`` gets the outcome when the process itself has ended; what it started may go on, and is served until
    it ends; after ``patience`` seconds everything is killed, which does not count as ours.
    """
    if platform.machine() != "x86_64":
        raise SystemExit(f"the numbers of system calls are known for x86_64, and this is {platform.machine()}")
    said = f"{stdin}.said"
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        _become(argv, stdin, said, theirs)
    theirs.close()
    _data, descriptors, _flags, _address = socket.recv_fds(ours, 1, 1)
    listener = descriptors[0]
    ended = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    poll.register(ended, select.POLLIN)
    watched = {listener, ended}
    events: list[Event] = []
    killed = False
    deadline = time.monotonic() + patience
    while watched:
        if time.monotonic() > deadline:
            end_session(pid)
        for descriptor, what in poll.poll(1000):
            if descriptor == ended:
                _pid, status = os.waitpid(pid, 0)
                with open(said, "rb") as stream:
                    release(Outcome(events, os.waitstatus_to_exitcode(status), stream.read(), killed))
                os.unlink(said)
            elif what & select.POLLIN:
                killed |= _answer(listener, pid, events, decide, killed)
                continue
            poll.unregister(descriptor)  # of the listener: the last of the tree is gone
            watched.remove(descriptor)


def _become(argv: list[str], stdin: str, said: str, theirs: socket.socket) -> t.NoReturn:
    """In the child: the command, under the filter."""
    os.setsid()
    os.dup2(os.open(stdin, os.O_RDONLY), 0)
    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    code = program()
    buffer = ctypes.create_string_buffer(code)
    filter_ = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    listener = libc.syscall(SECCOMP, SET_FILTER, NEW_LISTENER, ctypes.create_string_buffer(filter_))
    if listener < 0:
        os.write(2, os.strerror(ctypes.get_errno()).encode())
        os._exit(99)
    socket.send_fds(theirs, [b"."], [listener])  # sendmsg, which the filter lets pass
    os.close(listener)
    theirs.close()
    os.execv(argv[0], argv)  # noqa: S606


def _answer(listener: int, pid: int, events: list[Event], decide: Callable[[Event], str], killed: bool) -> bool:
    """Take one question; whether the tree was killed instead of an answer."""
    question = bytearray(80)
    try:
        fcntl.ioctl(listener, RECEIVE, question)
    except OSError as exc:
        if exc.errno in (errno.ENOENT, errno.EINTR):  # who asked is gone
            return False
        raise
    identity, thread, _flags, number, _arch = struct.unpack_from("QIIiI", question)
    arguments = struct.unpack_from("6Q", question, 32)
    verdict = "go"
    if not killed:
        event = event_of(thread, pid, number, arguments)
        if event is not None:
            events.append(event)
            verdict = decide(event)
    if verdict == "all":
        end_session(pid)
        return True
    if verdict == "alone":
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(FileNotFoundError):
        fcntl.ioctl(listener, SEND, bytearray(struct.pack("QqiI", identity, 0, 0, CONTINUE)))
    return verdict == "alone"


def end_session(leader: int) -> None:
    """SIGKILL every process of a session (`timeout` makes groups of its own), the leader first."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(leader, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        left = [each for each in _session(leader) if each != leader]
        if not left:
            return
        for each in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)


def _session(leader: int) -> list[int]:
    found = []
    for each in os.listdir("/proc"):
        if each.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{each}/stat", encoding="utf-8", errors="replace") as stream:
                state, _parent, _group, session = stream.read().rpartition(")")[2].split()[:4]
                if int(session) == leader and state not in "ZX":
                    found.append(int(each))
    return found
