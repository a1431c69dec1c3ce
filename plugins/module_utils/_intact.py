# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""Which of a host's daemons are just as the last run wanted them, by what that run wrote down."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._daemon import (
    STATE_ROOT,
    Applied,
    Daemon,
    DaemonError,
    applied_path,
    plan,
)
from ansible_collections.wonder.mesh.plugins.module_utils._files import staged_path
from ansible_collections.wonder.mesh.plugins.module_utils._journal import Journal
from ansible_collections.wonder.mesh.plugins.module_utils._systemd import Systemd, SystemdError


def intact_daemons(systemd: Systemd, state_root: str = STATE_ROOT) -> dict[str, str]:
    """The identities, by name, of the daemons that a run would find nothing to change about. Reads only.

    A host whose systemd says nothing has none.
    """
    remembered = [each for each in map(_remembered, _directories(state_root)) if each is not None]
    if not remembered:
        return {}
    try:
        states = systemd.states([daemon.unit for daemon, _applied in remembered])
    except SystemdError:
        return {}
    return {
        daemon.name: daemon.identity
        for daemon, applied in remembered
        if not has_leftovers(daemon) and _is_as_wanted(daemon, applied, states)
    }


def _directories(state_root: str) -> list[str]:
    try:
        return sorted(entry.path for entry in os.scandir(state_root) if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def _remembered(directory: str) -> tuple[Daemon, Applied] | None:
    applied = Applied.load(directory)
    try:
        return Daemon.described(applied.wanted, os.path.dirname(directory)), applied
    except (KeyError, TypeError):
        return None  # of another version; the next run writes it anew


def has_leftovers(daemon: Daemon) -> bool:
    """Whether a run was killed, even if all but its own traces was finished."""
    return Journal.has_traces(daemon.state_directory) or os.path.lexists(
        staged_path(applied_path(daemon.state_directory))
    )


def _is_as_wanted(daemon: Daemon, applied: Applied, states: t.Mapping[str, t.Any]) -> bool:
    try:
        return plan(daemon, applied, states[daemon.unit]).empty
    except (DaemonError, OSError):
        return False
