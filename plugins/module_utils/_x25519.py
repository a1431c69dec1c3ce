# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""The function X25519 of RFC 7748, for hosts that have Python and nothing else.

It takes some milliseconds, and not always the same time: for making a host's own key, not for answering strangers.
"""

from __future__ import annotations

import os

PRIME = 2**255 - 19
A24 = 121665
BASE = 9
BYTES = 32


def clamp(key: bytes) -> bytes:
    """The private key as X25519, WireGuard's kernel module and ``wg`` have it."""
    return bytes([key[0] & 248]) + key[1:31] + bytes([key[31] & 127 | 64])


def new_private_key() -> bytes:
    """32 random bytes, clamped."""
    return clamp(os.urandom(BYTES))


def public_of(private: bytes) -> bytes:
    """The public key of a private one, clamped or not."""
    return x25519(private, BASE.to_bytes(BYTES, "little"))


def x25519(scalar: bytes, point: bytes) -> bytes:
    """The Montgomery ladder of RFC 7748, section 5, in its names."""
    k = int.from_bytes(clamp(scalar), "little")
    x_1 = int.from_bytes(point, "little") % 2**255 % PRIME
    x_2, z_2, x_3, z_3 = 1, 0, x_1, 1
    swap = 0
    for bit in range(254, -1, -1):
        k_t = k >> bit & 1
        if swap != k_t:
            x_2, x_3, z_2, z_3 = x_3, x_2, z_3, z_2
        swap = k_t
        a, b, c, d = x_2 + z_2, x_2 - z_2, x_3 + z_3, x_3 - z_3
        aa, bb, da, cb = a * a % PRIME, b * b % PRIME, d * a % PRIME, c * b % PRIME
        e = aa - bb
        x_3, z_3 = (da + cb) ** 2 % PRIME, x_1 * (da - cb) ** 2 % PRIME
        x_2, z_2 = aa * bb % PRIME, e * (aa + A24 * e) % PRIME
    if swap:
        x_2, z_2 = x_3, z_3
    return (x_2 * pow(z_2, PRIME - 2, PRIME) % PRIME).to_bytes(BYTES, "little")
