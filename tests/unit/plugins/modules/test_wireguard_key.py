# SPDX-License-Identifier: MIT
"""``wireguard_key``."""

from __future__ import annotations

import base64
import typing as t

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ansible_collections.wonder.mesh.plugins.modules import wireguard_key

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., dict[str, t.Any]]


@pytest.fixture
def run(run_module: Callable[..., dict[str, t.Any]], tmp_path: Path) -> Run:
    """Call ``run(**options)``: what the module answers about the file ``key``."""

    def call(**options: t.Any) -> dict[str, t.Any]:
        return run_module(wireguard_key.main, path=str(tmp_path / "key"), **options)

    return call


def test_a_key_is_made_once(run: Run, tmp_path: Path) -> None:
    first, second = run(), run()
    assert (first["changed"], second["changed"], second["public_key"]) == (True, False, first["public_key"])
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_the_public_key_is_that_of_the_private_one(run: Run, tmp_path: Path) -> None:
    public = base64.b64decode(run()["public_key"])
    private = base64.b64decode((tmp_path / "key").read_text())
    assert X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw() == public


def test_check_mode_makes_none_and_says_that_it_would(run: Run, tmp_path: Path) -> None:
    foretold = run(check=True)
    assert (foretold["changed"], foretold["public_key"], (tmp_path / "key").exists()) == (True, "", False)
    assert run()["diff"] == foretold["diff"]


def test_nothing_is_left_of_a_key_that_a_killed_run_had_half_written(run: Run, tmp_path: Path) -> None:
    run()
    (tmp_path / ".key.wonder-mesh").write_text("another")
    assert not run(check=True)["changed"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".key.wonder-mesh", "key"]
    assert not run()["changed"]
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("damage", ["", "nonsense\n", "AAAA\n", "A" * 43 + "=\n"])
def test_what_is_no_key_is_kept_unless_a_new_one_is_asked_for(run: Run, tmp_path: Path, damage: str) -> None:
    (tmp_path / "key").write_text(damage)
    answer = run()
    assert (answer["failed"], "regenerate" in answer["msg"], (tmp_path / "key").read_text()) == (True, True, damage)
    assert (run(regenerate=True)["failed"], run()["changed"]) == (False, False)


def test_a_key_that_others_can_read_is_made_private(run: Run, tmp_path: Path) -> None:
    public = run()["public_key"]
    (tmp_path / "key").chmod(0o640)
    answer = run()
    assert (answer["changed"], answer["public_key"], (tmp_path / "key").stat().st_mode & 0o777) == (True, public, 0o600)


def test_a_link_is_not_followed(run: Run, tmp_path: Path) -> None:
    run()
    (tmp_path / "key").rename(tmp_path / "other")
    (tmp_path / "key").symlink_to(tmp_path / "other")
    assert run()["failed"]


def test_no_answer_holds_the_private_key(run: Run, tmp_path: Path) -> None:
    answers = repr([run(), run(), run(regenerate=True)])
    assert (tmp_path / "key").read_text().strip() not in answers
