# SPDX-License-Identifier: MIT
"""X25519 against the vectors of RFC 7748, and against a library that others have checked."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ansible_collections.wonder.mesh.plugins.module_utils import _x25519

# Section 5.2: scalar, point, result.
VECTORS = [
    (
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
    ),
    (
        "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
        "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
    ),
]
# Section 5.2: the base point, used as its own scalar, after so many rounds.
ROUNDS = {
    1: "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079",
    1000: "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51",
}


@pytest.mark.parametrize(("scalar", "point", "result"), VECTORS)
def test_the_function_gives_what_the_rfc_says(scalar: str, point: str, result: str) -> None:
    assert _x25519.x25519(bytes.fromhex(scalar), bytes.fromhex(point)).hex() == result


def test_a_thousand_rounds_give_what_the_rfc_says() -> None:
    scalar = point = bytes([9]) + bytes(31)
    for count in range(1, 1001):
        scalar, point = _x25519.x25519(scalar, point), scalar
        assert scalar.hex() == ROUNDS.get(count, scalar.hex())


def test_public_keys_are_those_of_an_independent_library() -> None:
    for _ in range(500):
        private = os.urandom(32)
        independent = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
        assert _x25519.public_of(private) == independent


def test_a_new_key_is_clamped_as_wireguard_clamps_it() -> None:
    for _ in range(100):
        key = _x25519.new_private_key()
        assert (len(key), key[0] & 7, key[31] & 192) == (32, 0, 64)


def test_no_two_keys_are_alike() -> None:
    assert len({_x25519.new_private_key() for _ in range(1000)}) == 1000
