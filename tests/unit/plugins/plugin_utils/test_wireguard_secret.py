# SPDX-License-Identifier: MIT

from __future__ import annotations

import base64
import hmac
import os
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_secret import (
    LABEL,
    SecretError,
    load_secret,
    preshared_keys,
    read_secret,
)
from tests.unit.plugins.plugin_utils.wireguard_world import key

if t.TYPE_CHECKING:
    from pathlib import Path

SECRET = bytes(range(32))
TEXT = base64.b64encode(SECRET).decode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{TEXT}\n")
    path.chmod(0o600)
    return path


def test_both_sides_get_the_same_key() -> None:
    one = preshared_keys(SECRET, key("a"), [key("b"), key("c")])
    assert one[key("b")] == preshared_keys(SECRET, key("b"), [key("a")])[key("a")]
    assert len(set(one.values())) == 2


def test_it_is_the_hmac_of_both_keys_in_order() -> None:
    keys = sorted(base64.b64decode(key(name)) for name in ("a", "b"))
    wanted = base64.b64encode(hmac.digest(SECRET, LABEL + b"".join(keys), "sha256")).decode()
    assert preshared_keys(SECRET, key("a"), [key("b")]) == {key("b"): wanted}
    assert len(base64.b64decode(wanted)) == 32


@pytest.mark.parametrize(
    ("secret", "own", "other"), [(SECRET[::-1], "a", "b"), (SECRET, "a2", "b"), (SECRET, "a", "b2")]
)
def test_another_secret_or_key_of_either_side_gives_another(secret: bytes, own: str, other: str) -> None:
    found = preshared_keys(secret, key(own), [key(other)]).values()
    assert not set(found) & set(preshared_keys(SECRET, key("a"), [key("b")]).values())


def test_a_file_of_its_owner_is_read(file: Path) -> None:
    assert load_secret(str(file)) == SECRET


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o620])
def test_a_file_that_others_reach_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(SecretError, match=rf"has mode 0{mode:o}, .* Run: chmod 600 "):
        load_secret(str(file))


@pytest.mark.parametrize("content", [b"", b"short", TEXT[:-2].encode(), b"\xff" * 44, TEXT.encode() * 2, b"x" * 9999])
def test_a_damaged_file_is_refused_without_showing_it(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(SecretError) as caught:
        load_secret(str(file))
    assert str(file) in str(caught.value)
    assert TEXT[:12] not in str(caught.value)
    assert "openssl rand -base64 32" in str(caught.value)


def test_a_secret_that_is_not_random_is_refused() -> None:
    with pytest.raises(SecretError, match="is not random"):
        read_secret(base64.b64encode(b"a" * 32).decode())


def test_what_is_no_file_is_refused_and_waited_for_by_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in ("pipe", ".", "missing", "missing/x", "a\0b"):
        with pytest.raises(SecretError, match=r"is no file|cannot be read"):
            load_secret(str(tmp_path / path))


def test_a_file_of_another_user_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 12345)
    with pytest.raises(SecretError, match="belongs to another user"):
        load_secret(str(file))
