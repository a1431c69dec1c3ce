# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""A program's own verdict on its new configuration, given in a sandbox before anything is swapped.

The checker runs as the service's user in a transient unit without network. It sees the host as it will be: a private
view of each of the daemon's directories is mounted over the real one, with the new files in it, and with copies of
the data that the program would open (``headscale configtest`` migrates the database that it is shown).
"""

from __future__ import annotations

import contextlib
import glob
import os
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._daemon import DaemonError
from ansible_collections.wonder.mesh.plugins.module_utils._files import Directory, File, look, remove_tree, stage

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.module_utils._daemon import Daemon
    from ansible_collections.wonder.mesh.plugins.module_utils._systemd import RunCommand

RUN = "/run"
TIMEOUT = 60  # seconds
SANDBOX = (
    "CapabilityBoundingSet=",
    "NoNewPrivileges=yes",
    "PrivateDevices=yes",
    "PrivateNetwork=yes",
    "PrivateTmp=yes",
    "ProtectHome=yes",
    "ProtectSystem=strict",
    f"RuntimeMaxSec={TIMEOUT}",
    "UMask=0077",
)


def check(daemon: Daemon, uploads: t.Mapping[str, str], run_command: RunCommand) -> None:
    """Run the daemon's checker on what is wanted; DaemonError with its words when it refuses."""
    if not daemon.check:
        return
    remove_view(daemon)
    view = _view(daemon)
    os.mkdir(view, 0o700)
    try:
        mounts = [mount for each in _outermost(daemon.directories) for mount in _show(each, view, run_command)]
        _show_files(daemon, view, uploads)
        command = ["timeout", str(TIMEOUT + 20), "systemd-run", "--quiet", "--wait", "--pipe", "--collect"]
        for each in (*SANDBOX, *mounts, *([f"User={daemon.user}"] if daemon.user else [])):
            command.append(f"--property={each}")
        rc, out, err = run_command([*command, "--", _executable(daemon), *daemon.check[1:]])
    finally:
        remove_view(daemon)
    if rc != 0:
        said = (err.strip() or out.strip() or "it said nothing")[-2000:]
        raise DaemonError(f"`{' '.join(daemon.check)}` refused the new configuration (exit status {rc}): {said}")


def remove_view(daemon: Daemon) -> None:
    """Remove the private copies, also those that a killed run left: secrets and a database are among them."""
    remove_tree(_view(daemon))


def _view(daemon: Daemon) -> str:
    return os.path.join(RUN, f"wonder-mesh.{daemon.name}")


def _outermost(directories: t.Iterable[Directory]) -> list[Directory]:
    """The directories that lie in no other one of them."""
    chosen: list[Directory] = []
    for each in sorted(directories, key=lambda each: each.path):
        if not any(each.path.startswith(other.path + "/") for other in chosen):
            chosen.append(each)
    return chosen


def _show(directory: Directory, view: str, run_command: RunCommand) -> list[str]:
    """Copy a directory into the view; the property that mounts the copy over the real one."""
    copy = view + directory.path
    os.makedirs(os.path.dirname(copy), exist_ok=True)
    rc, _out, err = run_command(["cp", "--archive", "--reflink=auto", "--", directory.path, copy])
    if rc != 0:
        raise DaemonError(f"{directory.path} cannot be copied for a check of the new configuration: {err.strip()}")
    if directory.data:
        _copy_databases(directory.path, copy)
    bind = "BindPaths" if directory.data else "BindReadOnlyPaths"
    return [f"{bind}={copy}:{directory.path}"]


def _copy_databases(source: str, copy: str) -> None:
    """Replace each copied SQLite file by a consistent copy: the original is being written to."""
    with contextlib.suppress(ImportError):
        import sqlite3

        for path in glob.glob(os.path.join(glob.escape(source), "*.sqlite")):
            target = os.path.join(copy, os.path.basename(path))
            status = os.stat(path)
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(target + suffix)
            live = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
            private = sqlite3.connect(target)
            with contextlib.closing(live), contextlib.closing(private):
                live.backup(private)
            os.chown(target, status.st_uid, status.st_gid)
            os.chmod(target, 0o600)


def _show_files(daemon: Daemon, view: str, uploads: t.Mapping[str, str]) -> None:
    shown = [each.path + "/" for each in daemon.directories]
    for file in daemon.files:
        if any(file.path.startswith(path) for path in shown) and not _is_as_wanted(file):
            stage(file, uploads, view + file.path)


def _executable(daemon: Daemon) -> str:
    """The checker's program: the staged one, when it is about to take its place."""
    for file in daemon.files:
        if os.path.basename(file.path) == daemon.check[0]:
            return file.path if _is_as_wanted(file) else file.staged
    return daemon.check[0]


def _is_as_wanted(file: File) -> bool:
    """Also in owner and mode: what the daemon's user cannot read or execute now, it will."""
    found = look(file.path)
    return (found.sha256, found.summary) == (file.sha256, file.summary)
