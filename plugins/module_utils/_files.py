# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""Files and directories as they are wanted and as they are, and how to replace one so that a crash never tears it."""

from __future__ import annotations

import contextlib
import dataclasses
import grp
import gzip
import hashlib
import os
import pwd
import shutil
import stat
import typing as t
import zlib

if t.TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 1 << 20

# A staged file lies beside its target under this fixed name, so that the next run overwrites what a killed one left.
STAGED = ".{name}.wonder-mesh"


class FileError(Exception):
    """A file is not what it should be; the message names it and holds no content."""


@dataclasses.dataclass(frozen=True)
class Directory:
    """A wanted directory. ``data`` marks one that the daemon fills: it is copied for checks and kept on removal."""

    path: str
    mode: int
    owner: str
    group: str
    data: bool = False

    @property
    def summary(self) -> str:
        return _summary(self.owner, self.group, self.mode)


@dataclasses.dataclass(frozen=True)
class File:
    """A wanted file. Its content is inline, or (``content`` is None) arrives as an upload that has this sha256."""

    path: str
    mode: int
    owner: str
    group: str
    sha256: str
    content: bytes | None = None
    secret: bool = False
    effect: str = "restart"  # what its change asks of the daemon: restart, reload or none
    label: str = ""  # what to show instead of the content
    judge: str = ""  # what judges the content, besides the daemon's own checker

    @property
    def staged(self) -> str:
        return staged_path(self.path)

    @property
    def summary(self) -> str:
        return _summary(self.owner, self.group, self.mode)


@dataclasses.dataclass(frozen=True)
class Found:
    """What lies at a path: ``kind`` is absent, file, directory or other; the rest is empty unless it is a file."""

    kind: str
    summary: str = ""
    sha256: str = ""


def staged_path(path: str) -> str:
    directory, name = os.path.split(path)
    return os.path.join(directory, STAGED.format(name=name))


def look(path: str) -> Found:
    """What is at ``path`` now; a file's content is hashed."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Found("absent")
    summary = _summary(_user_name(status.st_uid), _group_name(status.st_gid), stat.S_IMODE(status.st_mode))
    if stat.S_ISDIR(status.st_mode):
        return Found("directory", summary)
    if not stat.S_ISREG(status.st_mode):
        return Found("other", summary)
    return Found("file", summary, hash_of(path))


def hash_of(path: str) -> str:
    """The sha256 (hex) of a file's content."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for chunk in _chunks(stream):
            digest.update(chunk)
    return digest.hexdigest()


def text_of(path: str, limit: int = 256 * 1024) -> str:
    """A file's text for a diff; a note instead when it is no text, or longer than ``limit`` bytes."""
    with open(path, "rb") as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        return "(a long file)\n"
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return "(no text)\n"


def stage(file: File, uploads: t.Mapping[str, str], target: str | None = None) -> None:
    """Write the wanted content to ``target`` (beside the file, if not given), with its final owner and mode.

    The content is inline, or already there (only owner or mode differ), or in one of ``uploads``: gzipped files on
    this host by the hash of their content. When it is not what was promised, FileError is raised and nothing is left.
    """
    target = target or file.staged
    # A new file, never the old one emptied: a killed run may have left a second link to a saved file here.
    remove(target)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as sink:
            digest = hashlib.sha256()
            for chunk in _content(file, uploads):
                digest.update(chunk)
                sink.write(chunk)
            if digest.hexdigest() != file.sha256:
                raise FileError(
                    f"{file.path}: what arrived has the sha256 {digest.hexdigest()}, expected {file.sha256}; "
                    "it was damaged on its way, and nothing was changed. Run again."
                )
            _own(sink.fileno(), file.owner, file.group)
            os.fchmod(sink.fileno(), file.mode)
            sink.flush()
            os.fsync(sink.fileno())
    except BaseException:
        remove(target)
        raise


def swap(file: File) -> None:
    """Let the staged file take its target's place."""
    os.rename(file.staged, file.path)
    sync_directory(os.path.dirname(file.path))


def make_directory(directory: Directory) -> None:
    """Create the directory, or give an existing one its owner and mode."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory.path, 0o700)
    descriptor = os.open(directory.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _own(descriptor, directory.owner, directory.group)
        os.fchmod(descriptor, directory.mode)
    finally:
        os.close(descriptor)
    sync_directory(os.path.dirname(directory.path))


def write_atomically(path: str, content: bytes, mode: int = 0o600) -> None:
    """Replace a root-owned file of our own."""
    temporary = staged_path(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        os.fchmod(stream.fileno(), mode)
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(temporary, path)
    sync_directory(os.path.dirname(path))


def sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: str) -> bool:
    """Remove a file or an empty directory, if there is one; whether something is gone now."""
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            os.rmdir(path)
        else:
            os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def remove_tree(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path)


def _content(file: File, uploads: t.Mapping[str, str]) -> Iterator[bytes]:
    if file.content is not None:
        yield file.content
        return
    if file.sha256 not in uploads:
        with open(file.path, "rb") as stream:
            yield from _chunks(stream)
        return
    try:
        with gzip.open(uploads[file.sha256]) as stream:
            yield from _chunks(stream)
    except (EOFError, OSError, zlib.error) as exc:
        if isinstance(exc, OSError) and exc.errno is not None:
            raise  # of the disk, not of the upload
        raise FileError(f"{file.path}: what arrived is damaged ({exc}), and nothing was changed. Run again.") from exc


def _chunks(stream: t.Any) -> Iterator[bytes]:
    while True:
        chunk = stream.read(CHUNK)
        if not chunk:
            return
        yield chunk


def _own(descriptor: int, owner: str, group: str) -> None:
    os.fchown(descriptor, pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid)


def _summary(owner: str, group: str, mode: int) -> str:
    return f"owner: {owner}\ngroup: {group}\nmode: {mode:04o}\n"


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
