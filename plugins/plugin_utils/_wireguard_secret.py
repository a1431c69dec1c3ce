# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The mesh secret, and the pre-shared keys that are made from it.

The secret is 32 random bytes as base64, as ``wg genpsk`` prints them. It stays on the controller, in a file that only
its owner can read or in a vaulted variable; a host gets the keys of its own pairs and nothing else. No message of this
file holds a secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import stat
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable

LABEL = b"wonder.mesh wireguard pre-shared key 1\0"
BLOCK = 64  # of SHA-256
KEY_BYTES = 32
LONGEST_FILE = 4096
BASE64 = re.compile(r"[A-Za-z0-9+/]{43}=", re.ASCII)


class SecretError(Exception):
    """The secret cannot be had, or must not be used; the message says why and what to do, without the secret."""


def read_secret(text: str) -> bytes:
    """The 32 bytes of a secret that was written as base64."""
    if not BASE64.fullmatch(text.strip(" \t\r\n")):
        raise SecretError("the mesh secret is not 32 bytes as base64. Make one with: openssl rand -base64 32")
    secret = base64.b64decode(text)
    if len(set(secret)) < KEY_BYTES // 4:
        raise SecretError("the mesh secret is not random. Make one with: openssl rand -base64 32")
    return secret


def load_secret(path: str) -> bytes:
    """The secret in a file that its owner alone can read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as exc:
        raise SecretError(f"the mesh secret {path} cannot be read: {_reason(exc)}") from None
    try:
        _check_file(path, os.fstat(descriptor))
        content = os.read(descriptor, LONGEST_FILE)
    except OSError as exc:
        raise SecretError(f"the mesh secret {path} cannot be read: {_reason(exc)}") from None
    finally:
        os.close(descriptor)
    try:
        return read_secret(content.decode("ascii"))
    except UnicodeDecodeError:
        raise SecretError(f"the mesh secret {path} is no text. Make one with: openssl rand -base64 32") from None
    except SecretError as exc:
        raise SecretError(f"{path}: {exc}") from None


def _check_file(path: str, found: os.stat_result) -> None:
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISREG(found.st_mode):
        raise SecretError(f"the mesh secret {path} is no file")
    if os.geteuid() not in (0, found.st_uid):
        raise SecretError(f"the mesh secret {path} belongs to another user. Make it yours: chown $USER {path}")
    if mode & 0o077:
        reason = f"the mesh secret {path} has mode {mode:04o}, so that others can read or change it"
        raise SecretError(f"{reason}. Run: chmod 600 {path}; and if others are on this machine, make a new secret")


def preshared_keys(secret: bytes, own: str, others: Iterable[str]) -> dict[str, str]:
    """The pre-shared key with each of the others, by their public keys; own and they are base64 as WireGuard has them.

    Each is HMAC-SHA256(secret, LABEL + both keys in order) and so the same on both sides. Python's hmac takes three
    times as long, and a mesh of 1,000 has half a million pairs, hence the two states that are made once (RFC 2104).
    """
    padded = secret.ljust(BLOCK, b"\0")
    inner = hashlib.sha256(bytes(each ^ 0x36 for each in padded) + LABEL)
    outer = hashlib.sha256(bytes(each ^ 0x5C for each in padded))
    mine, found = binascii.a2b_base64(own), {}
    for other in others:
        theirs = binascii.a2b_base64(other)
        first, second = inner.copy(), outer.copy()
        first.update(mine + theirs if mine < theirs else theirs + mine)
        second.update(first.digest())
        found[other] = binascii.b2a_base64(second.digest(), newline=False).decode()
    return found


def _reason(exc: Exception) -> str:
    return (exc.strerror if isinstance(exc, OSError) else None) or "it is no path"
