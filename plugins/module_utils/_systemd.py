# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""What systemd knows about a unit, and the few orders that a daemon's transaction gives. Every call is bounded."""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable

    RunCommand = Callable[..., tuple[int, str, str]]

# A healthy systemd answers at once; a call that hangs must not hang the run. Seconds.
TIMEOUT = 90
UNKNOWN_UNIT = 5  # exit status of `systemctl stop` for a unit that is not loaded
PROPERTIES = ("ActiveState", "SubState", "UnitFileState", "NRestarts", "Result", "NeedDaemonReload")


class SystemdError(Exception):
    """systemd refused an order; the message holds its words."""


@dataclasses.dataclass(frozen=True)
class UnitState:
    """A unit as systemd sees it. ``restarts`` counts the restarts that systemd itself made."""

    active: str
    sub: str
    enabled: bool
    restarts: int
    result: str
    stale: bool  # its file changed since systemd read it

    @property
    def running(self) -> bool:
        return self.active in ("active", "activating", "reloading")


class Systemd:
    """The ``systemctl`` calls that are needed, through a ``run_command`` such as AnsibleModule's."""

    def __init__(self, run_command: RunCommand) -> None:
        self._run_command = run_command

    def state(self, unit: str) -> UnitState:
        return self.states([unit])[unit]

    def states(self, units: t.Sequence[str]) -> dict[str, UnitState]:
        """Several units in one call."""
        out = self._call("show", "--property=" + ",".join(PROPERTIES), "--", *units)
        return dict(zip(units, map(_unit_state, out.strip().split("\n\n"))))

    def reload_units(self) -> None:
        """Let systemd read the unit files again."""
        self._call("daemon-reload")

    def enable(self, unit: str, wanted: bool) -> None:
        """Let the unit start at boot, or not. A unit that does not exist is not started anyway."""
        if wanted or self.state(unit).enabled:
            self._call("enable" if wanted else "disable", "--quiet", "--", unit)

    def restart(self, unit: str, *companions: str) -> None:
        """Start the unit anew without waiting for it; its companions are stopped first (a socket's old service)."""
        if companions:
            self.stop(*companions)
        # A unit that failed too often would refuse to start.
        self._run_command(_bounded("reset-failed", "--", unit, *companions))
        self._call("restart", "--no-block", "--", unit)

    def reload(self, unit: str) -> None:
        """Let the daemon read its configuration again, and wait for its verdict."""
        self._call("reload", "--", unit)

    def stop(self, *units: str) -> None:
        """Stop the units and wait until they are down. Units that systemd does not know are down."""
        self._call("stop", "--", *units, accept=(0, UNKNOWN_UNIT))

    def last_words(self, unit: str, lines: int = 6, width: int = 300) -> str:
        """The newest lines of the unit's journal, each cut to ``width`` characters, for an error message."""
        command = ["timeout", "20", "journalctl", "--no-pager", "--output=cat", f"--lines={lines}", f"--unit={unit}"]
        _rc, out, _err = self._run_command(command)
        return "\n".join(line[:width] for line in out.strip().splitlines())

    def _call(self, verb: str, *arguments: str, accept: tuple[int, ...] = (0,)) -> str:
        rc, out, err = self._run_command(_bounded(verb, *arguments))
        if rc == 124:
            raise SystemdError(f"systemctl {verb} gave no answer within {TIMEOUT} s")
        if rc not in accept:
            raise SystemdError(f"systemctl {verb} {' '.join(arguments)} failed: {err.strip() or out.strip()}")
        return out


def _unit_state(shown: str) -> UnitState:
    values = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    return UnitState(
        active=values.get("ActiveState", "inactive"),
        sub=values.get("SubState", "dead"),
        enabled=values.get("UnitFileState", "") in ("enabled", "enabled-runtime"),
        restarts=int(values.get("NRestarts") or 0),
        result=values.get("Result", "success"),
        stale=values.get("NeedDaemonReload") == "yes",
    )


def _bounded(*arguments: str) -> list[str]:
    return ["timeout", str(TIMEOUT), "systemctl", *arguments]
