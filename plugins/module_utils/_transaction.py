# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""From a plan to a running daemon, or back to the daemon that ran before."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._accounts import ensure_user, remove_user
from ansible_collections.wonder.mesh.plugins.module_utils._checker import check, remove_view
from ansible_collections.wonder.mesh.plugins.module_utils._daemon import (
    Applied,
    Daemon,
    DaemonError,
    Plan,
    applied_path,
)
from ansible_collections.wonder.mesh.plugins.module_utils._files import (
    make_directory,
    remove,
    stage,
    staged_path,
    swap,
    write_atomically,
)
from ansible_collections.wonder.mesh.plugins.module_utils._journal import Journal
from ansible_collections.wonder.mesh.plugins.module_utils._ready import wait_until_ready
from ansible_collections.wonder.mesh.plugins.module_utils._systemd import SystemdError

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.wonder.mesh.plugins.module_utils._systemd import RunCommand, Systemd


class Transaction:
    """Carries out one plan: stage, check, swap, start, wait; the previous state back when any of it fails."""

    def __init__(
        self,
        daemon: Daemon,
        plan: Plan,
        applied: Applied,
        uploads: t.Mapping[str, str],
        systemd: Systemd,
        run_command: RunCommand,
        prove: Callable[[], None] = lambda: None,
    ) -> None:
        """``prove`` raises when the daemon that runs with the new state is not to be kept."""
        self._daemon = daemon
        self._plan = plan
        self._applied = applied
        self._uploads = uploads
        self._systemd = systemd
        self._run_command = run_command
        self._prove = prove
        left = Journal.load(daemon.state_directory)
        if left is not None and left.transaction == applied.transaction:
            left.close()  # it was finished, all but this
            left = None
        self._journal = left or Journal(
            daemon.state_directory, os.urandom(8).hex(), plan.unit.enabled, plan.unit.running
        )
        # A killed run may have come that far.
        self._swapped = self._stopped = left is not None and left.phase != "staging"

    def run(self) -> None:
        """Bring the daemon to its wanted state. On failure the previous state is back when DaemonError is raised."""
        self._begin()
        try:
            self._prepare()
            self._swap()
            self._activate()
            self._prove()
        except Exception as exc:
            self._roll_back(exc)
        self._commit()

    def _begin(self) -> None:
        os.makedirs(self._daemon.state_directory, mode=0o700, exist_ok=True)
        for path in [*(file.path for file in self._plan.files), *self._plan.unwanted]:
            self._journal.save_file(path)
        for directory in self._plan.directories:
            self._journal.save_directory(directory.path)
        if self._plan.create_user:
            self._journal.user = self._daemon.user
        self._journal.write()

    def _prepare(self) -> None:
        if self._journal.user:
            ensure_user(self._daemon.user, self._daemon.home, self._run_command)
        for directory in self._plan.directories:
            make_directory(directory)
        for file in self._plan.files:
            stage(file, self._uploads)
        if any(file.effect != "none" for file in self._plan.files):
            check(self._daemon, self._uploads, self._run_command)

    def _swap(self) -> None:
        self._journal.enter("changing")
        program_changes = any(file.label and self._journal.files[file.path] for file in self._plan.new_contents)
        if program_changes and any(each.data for each in self._daemon.directories):
            # A new version may change its data in a way that the old one cannot read.
            self._swapped = self._stopped = True
            self._systemd.stop(*self._daemon.units)
            for directory in self._daemon.directories:
                if directory.data:
                    self._journal.save_data(directory.path, self._run_command)
        self._swapped = True
        for file in self._plan.files:
            swap(file)
        for path in self._plan.unwanted:
            remove(path)
        if self._touches_units(self._journal.files) or self._plan.unit.stale:
            self._systemd.reload_units()

    def _activate(self) -> None:
        unit, wanted = self._daemon.unit, self._daemon.state == "started"
        if self._plan.unit.enabled != wanted:
            self._systemd.enable(unit, wanted)
        if not wanted:
            self._systemd.stop(*self._daemon.units)
            return
        restarts = self._plan.unit.restarts
        if self._plan.restart or self._plan.unit.active != "active":
            self._stopped = True
            self._systemd.restart(unit, *self._daemon.units[1:])
            restarts = 0
        elif self._plan.reload:
            self._systemd.reload(unit)
        wait_until_ready(self._systemd, unit, self._daemon.ready, restarts)

    def _commit(self) -> None:
        daemon, user = self._daemon, self._applied.user or self._journal.user
        created = [path for path, before in self._journal.directories.items() if before is None]
        applied = Applied(
            transaction=self._journal.transaction,
            restart=daemon.fingerprint("restart"),
            reload=daemon.fingerprint("reload"),
            files=sorted(file.path for file in daemon.files),
            directories=sorted({*self._applied.directories, *created}),
            user=user,
            wanted=daemon.description(),
        )
        write_atomically(applied_path(daemon.state_directory), json.dumps(dataclasses.asdict(applied)).encode())
        finish(daemon)

    def _roll_back(self, cause: Exception) -> t.NoReturn:
        """Put everything back as the journal has it, and say so."""
        words = self._systemd.last_words(self._daemon.unit) if self._swapped else ""
        try:
            if self._swapped:
                with contextlib.suppress(OSError):  # a full disk must not keep the previous state from coming back
                    self._journal.enter("undoing")
            state = self._restore()
        except Exception as exc:
            raise DaemonError(
                f"{cause}. Putting the previous state back failed too: {exc}. What was saved is in "
                f"{self._daemon.state_directory}; the next run goes on from there."
            ) from cause
        self._journal.close()
        said = f" The daemon's last words:\n{words}" if words else ""
        raise DaemonError(f"{str(cause).rstrip('.')}. {state}{said}") from cause

    def _restore(self) -> str:
        journal, unit = self._journal, self._daemon.unit
        if self._swapped:
            if journal.data or not journal.running:
                self._systemd.stop(*self._daemon.units)
            if not journal.enabled:
                self._systemd.enable(unit, False)
        journal.restore_files()
        if self._touches_units(journal.files):
            self._systemd.reload_units()
        journal.restore_directories()
        if journal.user and not any(os.path.isdir(each.path) for each in self._daemon.directories if each.data):
            remove_user(journal.user, self._run_command)
        if not self._swapped:
            return f"Nothing was changed; {self._daemon.name} is as it was."
        if journal.enabled:
            self._systemd.enable(unit, True)
        if not journal.running:
            return "The previous state was put back; the daemon did not run before, and does not run now."
        self._resume(unit)
        return f"The previous state was put back, and {self._daemon.name} runs with it."

    def _resume(self, unit: str) -> None:
        """Let the daemon run with what was put back; one that only refused to reload keeps its streams."""
        state = self._systemd.state(unit)
        if not self._stopped and state.active == "active":
            try:
                self._systemd.reload(unit)
                wait_until_ready(self._systemd, unit, self._daemon.ready, state.restarts)
                return
            except (DaemonError, SystemdError):
                pass  # then it must start anew
        self._systemd.restart(unit, *self._daemon.units[1:])
        wait_until_ready(self._systemd, unit, self._daemon.ready, 0)

    def _touches_units(self, paths: t.Iterable[str]) -> bool:
        return any(path.startswith("/etc/systemd/system/") for path in paths)


def recover(daemon: Daemon, applied: Applied, systemd: Systemd, may_write: bool) -> bool:
    """Complete what a killed run was putting back; whether a run was killed before it had proven its state."""
    journal = Journal.load(daemon.state_directory)
    if journal is None or journal.transaction == applied.transaction or journal.phase == "staging":
        return False
    if journal.phase == "undoing" and may_write:
        # Half of the data is nothing to start any version with.
        if journal.data:
            systemd.stop(*daemon.units)
        journal.restore_files()
        systemd.reload_units()
        journal.restore_directories()
        journal.enter("changing")
    return True


def remember(daemon: Daemon, applied: Applied) -> None:
    """Remember what is wanted of a daemon that is as wanted already, and leave no traces of a run that was killed."""
    described = daemon.description()
    if applied.wanted != described:
        os.makedirs(daemon.state_directory, mode=0o700, exist_ok=True)
        applied = dataclasses.replace(applied, wanted=described)
        write_atomically(applied_path(daemon.state_directory), json.dumps(dataclasses.asdict(applied)).encode())
    finish(daemon)


def finish(daemon: Daemon) -> None:
    """Remove the traces of the run, and of one that was killed."""
    journal = Journal.load(daemon.state_directory)
    for path in [
        *(file.path for file in daemon.files),
        *(journal.files if journal else ()),
        applied_path(daemon.state_directory),
    ]:
        remove(staged_path(path))
    remove_view(daemon)
    (journal or Journal(daemon.state_directory, "", False, False)).close()
