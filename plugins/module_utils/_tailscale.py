# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""One node's tailscaled, through its command line: state, preferences, joining. Every call is bounded."""

from __future__ import annotations

import contextlib
import json
import time
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    RunCommand = Callable[..., tuple[int, str, str]]

SETTLE = 15  # seconds that a daemon which has just started may take to know its own state
JOIN = 60  # seconds that a join may take


class TailscaleError(Exception):
    """tailscaled does not answer, or refuses; the message holds no key."""


class Tailscale:
    """The ``tailscale`` command of one daemon, reached through its socket."""

    def __init__(self, run_command: RunCommand, binary: str, socket: str) -> None:
        self._run_command = run_command
        self._command = [binary, f"--socket={socket}"]

    def status(self) -> dict[str, t.Any]:
        """The daemon's state without its peers, once it has settled."""
        deadline = time.monotonic() + SETTLE
        while True:
            status: dict[str, t.Any] = json.loads(self._call("status", "--json", "--peers=false"))
            if status["BackendState"] not in ("NoState", "Starting") or time.monotonic() > deadline:
                return status
            time.sleep(0.2)

    def preferences(self) -> dict[str, t.Any]:
        """All preferences; keys in them are blanked by tailscale itself."""
        preferences: dict[str, t.Any] = json.loads(self._call("debug", "prefs"))
        return preferences

    def set(self, flags: list[str]) -> None:
        self._call("set", *flags)

    def resume(self) -> None:
        """Connect a stopped node again. With any flag, tailscale would ask for all that are not at their defaults."""
        self._call("up", patience=JOIN + 15)

    def up(self, flags: list[str]) -> None:
        self._call("up", f"--timeout={JOIN}s", *flags, patience=JOIN + 15)

    def restart(self, unit: str) -> None:
        """Start the daemon anew and wait until it answers."""
        self._systemctl("reset-failed", unit)
        self._systemctl("restart", unit)
        self.status()

    @contextlib.contextmanager
    def stopped(self, unit: str) -> Iterator[None]:
        """The daemon does not run meanwhile, and answers again afterwards."""
        self._systemctl("stop", unit)
        try:
            yield
        finally:
            self._systemctl("reset-failed", unit)
            self._systemctl("start", unit)
        self.status()

    def _systemctl(self, verb: str, unit: str) -> None:
        rc, _out, err = self._run_command(["timeout", str(JOIN), "systemctl", verb, "--", unit])
        # One that was started several times in some seconds would refuse to start, and one that never failed has
        # nothing to reset.
        if rc != 0 and verb != "reset-failed":
            raise TailscaleError(f"`systemctl {verb} {unit}` failed: {err.strip()}")

    def _call(self, *arguments: str, patience: int = 30) -> str:
        rc, out, err = self._run_command(["timeout", str(patience), *self._command, *arguments])
        if rc == 124:
            raise TailscaleError(f"`tailscale {arguments[0]}` gave no answer within {patience} s")
        if rc != 0:
            raise TailscaleError(f"`tailscale {arguments[0]}` failed: {err.strip() or out.strip()}")
        return out
