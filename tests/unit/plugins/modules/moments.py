# SPDX-License-Identifier: MIT

"""Every state that a host goes through during a run: what SIGKILL at any step would leave, and no handler mend."""

from __future__ import annotations

import copy
import functools
import os
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.plugins.modules.daemon_host import Host

STEPS = ("chmod", "chown", "fchmod", "fchown", "fsync", "link", "mkdir", "open", "rename", "rmdir", "unlink", "utime")


class State:
    """A host as it was at one moment: its files with their links to each other, its units and its users."""

    def __init__(self, host: Host) -> None:
        self._systemd = copy.deepcopy(host.systemd)
        self._files: list[tuple[str, int, bytes | None, int]] = []
        inodes: dict[int, int] = {}
        for top, directories, files in os.walk(host.root):
            directories.sort()
            for name in ["", *sorted(files)]:
                path = os.path.join(top, name)
                status = os.stat(path)
                inode = inodes.setdefault(status.st_ino, len(inodes))
                content = None
                if name:
                    with open(path, "rb") as stream:
                        content = stream.read()
                self._files.append((path, status.st_mode & 0o7777, content, inode))
        self.name = repr((sorted(self._systemd.items()), self._files))

    def restore(self, host: Host) -> None:
        """Make the host what it was."""
        host.reset()
        host.systemd = copy.deepcopy(self._systemd)
        written: dict[int, str] = {}
        for path, mode, content, inode in self._files:
            if content is None:
                os.makedirs(path, exist_ok=True)
            elif inode in written:
                os.link(written[inode], path)
            else:
                written[inode] = path
                with open(path, "wb") as stream:
                    stream.write(content)
            os.chmod(path, mode)


class Moments:
    """Records the states. A step is a system call that changes something, or a command."""

    def __init__(self) -> None:
        self._host: Host | None = None
        self._states: dict[str, tuple[str, State]] = {}

    def record(self, host: Host, run: Callable[[], t.Any]) -> list[tuple[str, State]]:
        """All different states during ``run``, each with the step that would have come next."""
        self._host, self._states = host, {}
        try:
            run()
        finally:
            self._host = None
        return list(self._states.values())

    def step(self, what: str) -> None:
        if self._host is not None:
            state = State(self._host)
            self._states.setdefault(state.name, (what, state))

    def step_of(self, name: str, function: Callable[..., t.Any]) -> Callable[..., t.Any]:
        """``function``, as a step."""

        @functools.wraps(function)
        def wrapper(*args: t.Any, **kwargs: t.Any) -> t.Any:
            if name != "open" or args[1] & os.O_CREAT:
                self.step(f"{name} {args[0]}")
            # What is durable cannot be seen here, and waiting for a disk is slow.
            return None if name == "fsync" else function(*args, **kwargs)

        return wrapper

    def call(self, host: Host, args: list[str]) -> tuple[int, str, str]:
        """A command is one step, since it is another process; some can also be killed half-way."""
        self.step(" ".join(args))
        recording, self._host = self._host, None
        try:
            if recording and args[0] == "cp":
                os.mkdir(args[-1])
                self._host = recording
                self.step("half of " + " ".join(args))
                self._host = None
                os.rmdir(args[-1])
            host.accounts.step = functools.partial(self._half, recording)
            return host.run_command(args)
        finally:
            self._host = recording

    def _half(self, recording: Host | None, what: str) -> None:
        """A step within a command."""
        self._host = recording
        self.step(f"before {what}")
        self._host = None
