# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The folder that programs are kept in: binaries gzipped and known by their hash, made by one run at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import gzip
import hashlib
import os
import pathlib
import shutil
import typing as t
import zlib

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Report = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Binary:
    """One executable: its name, the sha256 (hex) and size (bytes) of its content, and the gzipped file."""

    name: str
    sha256: str
    size: int
    archive: pathlib.Path

    def is_intact(self) -> bool:
        """Whether the cached archive still holds the bytes that were built."""
        digest = hashlib.sha256()
        try:
            with gzip.open(self.archive) as stream:
                while chunk := stream.read(1 << 20):
                    digest.update(chunk)
        except (OSError, EOFError, ValueError, zlib.error):
            return False
        return digest.hexdigest() == self.sha256


def cache_directory() -> pathlib.Path:
    """The project's folder in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path("~/.cache").expanduser()
    return pathlib.Path(base) / "wonder-mesh"


def pack(path: pathlib.Path) -> dict[str, t.Any]:
    """Replace a binary by its gzipped copy, PATH.gz; its line of the manifest."""
    line = {"sha256": _sha256(path), "size": path.stat().st_size}
    # Kept compressed: that is how it travels, and a home's uplink is slow. No time stamp, so equal bytes.
    with (
        open(path, "rb") as source,
        open(f"{path}.gz", "wb") as sink,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=sink, mtime=0) as archive,
    ):
        shutil.copyfileobj(source, archive, 1 << 20)
    path.unlink()
    return line


@contextlib.contextmanager
def locked(path: pathlib.Path, report: Report) -> Iterator[None]:
    """Hold an exclusive lock on ``path``; another process may be building the same entry."""
    with open(path, "w", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"waiting for another run that builds {path.name.strip('.')}")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _sha256(path: pathlib.Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
