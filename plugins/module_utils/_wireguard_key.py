# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""A host's private key: made on the host, kept in a file that only root reads, and never told to anybody."""

from __future__ import annotations

import base64
import binascii
import os
import stat
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._files import (
    make_directory,
    remove,
    staged_path,
    write_atomically,
)
from ansible_collections.wonder.mesh.plugins.module_utils._x25519 import BYTES, clamp, new_private_key, public_of

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.module_utils._files import Directory

LONGEST = 4096  # bytes that are read of a key file
MODE = 0o600


class WireGuardError(Exception):
    """The interface, or what it is made of, is not what it should be; no message holds a secret."""


# What a diff shows of a key before and after, by what KeyFile.look() says.
SHOWN = {
    "new": ("", "(a new key, made on this host)\n"),
    "open": ("(a key that others can read)\n", "(the same key, of which root is the only reader)\n"),
}


class KeyFile:
    """The file with the private key, as ``wg genkey`` writes it: 44 characters of base64 and a newline."""

    def __init__(self, path: str) -> None:
        self.path = path

    def read(self) -> bytes | None:
        """The private key, clamped; None if there is no file. WireGuardError for one that is damaged: it is kept."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise self._damaged(f"it cannot be read ({exc.strerror})") from None
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise self._damaged("it is no file")
            return self._parse(stream.read(LONGEST))

    def public_key(self) -> str:
        """The public key as base64; empty if there is no private one yet. WireGuardError as in read()."""
        private = self.read()
        return "" if private is None else encode(public_of(private))

    def look(self, regenerate: bool) -> str:
        """``new`` if a key is to be made, ``open`` if others may read the one that is there, else ``right``."""
        if regenerate or self.read() is None:
            return "new"
        return "right" if self._is_private() else "open"

    def make(self, directories: t.Iterable[Directory] = ()) -> None:
        """A new key, instead of the old one if there is one. It is durable when this returns."""
        for directory in directories:
            make_directory(directory)
        write_atomically(self.path, f"{encode(new_private_key())}\n".encode(), MODE)

    def make_private(self) -> None:
        os.chown(self.path, os.getuid(), os.getgid())
        os.chmod(self.path, MODE)

    def forget(self) -> None:
        """Remove what a killed run had written beside the file."""
        remove(staged_path(self.path))

    def _is_private(self) -> bool:
        status = os.lstat(self.path)
        return (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (MODE, os.getuid(), os.getgid())

    def _parse(self, content: bytes) -> bytes:
        try:
            raw = base64.b64decode(content.decode("ascii").strip(" \t\r\n"), validate=True)
        except (ValueError, binascii.Error):
            raise self._damaged("it is not the base64 that `wg genkey` prints") from None
        if len(raw) != BYTES:
            raise self._damaged(f"it holds {len(raw)} bytes, and a key has {BYTES}")
        if not any(raw):
            raise self._damaged("it holds zeros")
        return clamp(raw)

    def _damaged(self, reason: str) -> WireGuardError:
        return WireGuardError(
            f"{self.path} holds no private key of WireGuard: {reason}. It was left as it is. Put the right file back, "
            "or have a new key made with regenerate: true; the others then learn the new public key at the next run."
        )


def encode(key: bytes) -> str:
    return base64.b64encode(key).decode("ascii")


def decode(text: str) -> bytes:
    """The 32 bytes of a key in base64; ValueError for anything else."""
    raw = base64.b64decode(text, validate=True)
    if len(raw) != BYTES:
        raise ValueError(f"a key has {BYTES} bytes")
    return raw
