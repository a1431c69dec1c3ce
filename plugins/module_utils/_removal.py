# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""Taking a daemon off a host: everything that its transactions put there goes, its data only when asked."""

from __future__ import annotations

import dataclasses
import json
import os
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._accounts import remove_user
from ansible_collections.wonder.mesh.plugins.module_utils._daemon import Applied, Daemon, applied_path
from ansible_collections.wonder.mesh.plugins.module_utils._difference import Difference
from ansible_collections.wonder.mesh.plugins.module_utils._files import (
    remove,
    remove_tree,
    staged_path,
    write_atomically,
)
from ansible_collections.wonder.mesh.plugins.module_utils._journal import Journal
from ansible_collections.wonder.mesh.plugins.module_utils._transaction import finish

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.module_utils._systemd import RunCommand, Systemd, UnitState


class Removal:
    """What there is to take away, also of a run that was killed. Killed half-way, the next run takes away the rest."""

    def __init__(self, daemon: Daemon, applied: Applied, unit: UnitState, with_data: bool) -> None:
        self._daemon = daemon
        self._applied = applied
        self._unit = unit
        begun = Journal.load(daemon.state_directory) or Journal(daemon.state_directory, "", False, False)
        user = applied.user or begun.user
        files = {*applied.files, *begun.files, *(file.path for file in daemon.files)}
        self._files = sorted(path for path in {*files, *map(staged_path, files)} if os.path.lexists(path))
        data = {each.path for each in daemon.directories if each.data}
        made = {path for path, before in begun.directories.items() if before is None}
        ours = {*applied.directories, *made, *(each.path for each in daemon.directories)}
        self._data = sorted(path for path in data if with_data and os.path.isdir(path))
        self._directories = _emptied(ours - data, {*self._files, *self._data})
        # A user whose files stay must stay too: their number would go to the next user that is made.
        self._user = user if with_data or not any(os.path.isdir(path) for path in data) else ""
        self._kept_user = "" if self._user else user

    @property
    def differences(self) -> list[Difference]:
        """What a diff shows; empty when there is nothing left to remove."""
        differences = [Difference(path, "(a file)\n", "") for path in self._files]
        differences += [Difference(path, "(a directory)\n", "") for path in (*self._directories, *self._data)]
        if self._user:
            differences.append(Difference(f"user {self._user}", "(a user)\n", ""))
        if self._unit.enabled or self._unit.running:
            differences.append(Difference(self._daemon.unit, "(a unit)\n", ""))
        return differences

    def run(self, systemd: Systemd, run_command: RunCommand) -> None:
        systemd.stop(*self._daemon.units)
        systemd.enable(self._daemon.unit, False)
        for path in self._files:
            remove(path)
        systemd.reload_units()
        for path in self._data:
            remove_tree(path)
        for path in self._directories:
            remove(path)
        if self._user:
            remove_user(self._user, run_command)

    def forget(self) -> None:
        """Drop what is remembered of the daemon, but for our user, when it stays because its files do."""
        if self._kept_user:
            kept = dataclasses.asdict(Applied(user=self._kept_user))
            if dataclasses.asdict(self._applied) != kept:
                write_atomically(applied_path(self._daemon.state_directory), json.dumps(kept).encode())
            finish(self._daemon)
            return
        remove_tree(self._daemon.state_directory)
        if os.path.isdir(self._daemon.state_root) and not os.listdir(self._daemon.state_root):
            remove(self._daemon.state_root)


def _emptied(directories: t.Iterable[str], gone: set[str]) -> list[str]:
    """Those of the directories in which nothing is left once all of ``gone`` is; what is in others is not ours."""
    emptied: list[str] = []
    for path in sorted(directories, reverse=True):
        if os.path.isdir(path) and {os.path.join(path, name) for name in os.listdir(path)} <= gone | set(emptied):
            emptied.append(path)
    return emptied
