# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""The previous state of a daemon, kept on disk from before the first change until the new state is proven.

A run that is killed leaves its journal. The next run goes on with it: what was saved then is still the last state
that is known to work, so it is what a failure goes back to.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._files import (
    Found,
    look,
    remove,
    remove_tree,
    staged_path,
    sync_directory,
    write_atomically,
)

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.module_utils._systemd import RunCommand


@dataclasses.dataclass
class Journal:
    """What was there before. ``files`` maps a path to its saved copy, or to None where there was no file."""

    root: str
    transaction: str
    enabled: bool
    running: bool
    files: dict[str, str | None] = dataclasses.field(default_factory=dict)
    # A directory's owner, group and mode; None for one that did not exist.
    directories: dict[str, list[int] | None] = dataclasses.field(default_factory=dict)
    data: dict[str, str] = dataclasses.field(default_factory=dict)
    user: str = ""  # the user, if it did not exist
    # How far the run came: "staging" changed nothing that runs, "changing" may have, "undoing" puts this state back.
    phase: str = "staging"

    @classmethod
    def load(cls, root: str) -> Journal | None:
        try:
            with open(os.path.join(root, "journal.json"), encoding="utf-8") as stream:
                return cls(root, **json.load(stream))
        except FileNotFoundError:
            return None

    @staticmethod
    def has_traces(root: str) -> bool:
        """Whether a run was killed before it had closed its journal, or while it did."""
        path = os.path.join(root, "journal.json")
        return any(map(os.path.lexists, (path, staged_path(path), os.path.join(root, "previous"))))

    def save_file(self, path: str) -> None:
        """Keep the file at ``path`` as it is now, unless an earlier run already kept it."""
        if path in self.files:
            return
        if look(path) == Found("absent"):
            self.files[path] = None
            return
        saved = os.path.join(self._previous(), str(len(self.files)))
        remove(saved)
        try:
            # Files are replaced by renaming, never written in place: a second link keeps the old one.
            os.link(path, saved)
        except OSError as exc:
            if exc.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                raise
            _copy(path, saved)
        self.files[path] = saved

    def save_directory(self, path: str) -> None:
        """Remember a directory's owner and mode, or that there is none."""
        if path in self.directories:
            return
        try:
            status = os.stat(path)
            self.directories[path] = [status.st_uid, status.st_gid, status.st_mode & 0o7777]
        except FileNotFoundError:
            self.directories[path] = None

    def save_data(self, path: str, run_command: RunCommand) -> None:
        """Copy what a stopped daemon keeps in ``path``."""
        if path in self.data or not os.path.isdir(path):
            return
        saved = os.path.join(self._previous(), f"data-{len(self.data)}")
        remove_tree(saved)
        rc, _out, err = run_command(["cp", "--archive", "--reflink=auto", "--", path, saved])
        if rc != 0:
            raise OSError(f"{path} cannot be copied before the new version starts: {err.strip()}")
        self.data[path] = saved
        self.write()

    def write(self) -> None:
        """Make the journal durable; only then may anything be changed."""
        os.makedirs(self._previous(), mode=0o700, exist_ok=True)
        content = {field: value for field, value in dataclasses.asdict(self).items() if field != "root"}
        write_atomically(os.path.join(self.root, "journal.json"), json.dumps(content).encode())

    def enter(self, phase: str) -> None:
        """Remember how far the run came, before it goes there."""
        self.phase = phase
        self.write()

    def restore_files(self) -> None:
        """Put every file, and the daemon's data, back. May be repeated."""
        for path, saved in self.files.items():
            remove(staged_path(path))
            if saved is None:
                remove(path)
            else:
                _restore(saved, path)
        for path, saved in self.data.items():
            if os.path.isdir(saved):
                remove_tree(path)
                shutil.move(saved, path)
                sync_directory(os.path.dirname(path))
        self.data.clear()

    def restore_directories(self) -> None:
        """Give directories their old owner and mode; remove those that did not exist, unless something is in them."""
        for path in sorted(self.directories, reverse=True):
            attributes = self.directories[path]
            if attributes is None:
                try:
                    remove(path)
                except OSError as exc:
                    if exc.errno != errno.ENOTEMPTY:
                        raise
            elif os.path.isdir(path):
                os.chown(path, attributes[0], attributes[1])
                os.chmod(path, attributes[2])

    def close(self) -> None:
        """Forget the previous state."""
        path = os.path.join(self.root, "journal.json")
        remove(path)
        remove(staged_path(path))
        remove_tree(os.path.join(self.root, "previous"))

    def _previous(self) -> str:
        path = os.path.join(self.root, "previous")
        os.makedirs(path, mode=0o700, exist_ok=True)
        return path


def _restore(saved: str, path: str) -> None:
    if os.path.exists(path) and os.path.samefile(saved, path):
        return
    temporary = staged_path(path)
    try:
        os.link(saved, temporary)
    except OSError as exc:
        if exc.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
            raise
        _copy(saved, temporary)
    os.rename(temporary, path)
    sync_directory(os.path.dirname(path))


def _copy(source: str, target: str) -> None:
    shutil.copy2(source, target)
    status = os.stat(source)
    os.chown(target, status.st_uid, status.st_gid)
