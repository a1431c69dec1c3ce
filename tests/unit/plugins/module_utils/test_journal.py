# SPDX-License-Identifier: MIT

from __future__ import annotations

import errno
import os
import shutil
import stat
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils._journal import Journal

if t.TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    (tmp_path / "root").mkdir()
    return Journal(str(tmp_path / "root"), "1", enabled=True, running=True)


def copy(args: list[str]) -> tuple[int, str, str]:
    shutil.copytree(args[-2], args[-1])
    return 0, "", ""


def test_what_was_saved_is_put_back_with_mode_and_content(journal: Journal, tmp_path: Path) -> None:
    kept, new = tmp_path / "kept", tmp_path / "new"
    kept.write_text("old")
    kept.chmod(0o640)
    journal.save_file(str(kept))
    journal.save_file(str(new))
    (tmp_path / "staged").write_text("changed")
    os.rename(tmp_path / "staged", kept)
    new.write_text("new")
    for _ in range(2):
        journal.restore_files()
        assert (kept.read_text(), stat.S_IMODE(kept.stat().st_mode), new.exists()) == ("old", 0o640, False)


def test_what_was_saved_first_counts(journal: Journal, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("first")
    journal.save_file(str(path))
    path.unlink()
    path.write_text("second")
    journal.save_file(str(path))
    journal.restore_files()
    assert path.read_text() == "first"


def test_is_read_back_as_it_was_written(journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    journal.save_file(str(tmp_path / "file"))
    journal.save_directory(str(tmp_path))
    journal.save_directory(str(tmp_path / "new"))
    journal.user = "demo"
    journal.write()
    assert Journal.load(journal.root) == journal
    assert stat.S_IMODE(os.stat(os.path.join(journal.root, "journal.json")).st_mode) == 0o600
    journal.close()
    assert (Journal.load(journal.root), os.listdir(journal.root)) == (None, [])


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.EMLINK])
def test_where_there_are_no_links_it_copies(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def link(*_: str) -> None:
        raise OSError(number, "no links here")

    monkeypatch.setattr(os, "link", link)
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o750)
    journal.save_file(str(path))
    path.write_text("new")
    path.chmod(0o600)
    journal.restore_files()
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("old", 0o750)


def test_another_error_of_the_disk_is_one(journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", link)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="No space left"):
        journal.save_file(str(tmp_path / "file"))


def test_data_is_copied_once_and_takes_its_place_again(journal: Journal, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "database").write_text("old")
    journal.write()
    journal.save_data(str(data), copy)
    (data / "database").write_text("migrated")
    (data / "more").touch()
    journal.save_data(str(data), copy)
    assert Journal.load(journal.root) == journal
    journal.restore_files()
    assert [(path.name, path.read_text()) for path in data.iterdir()] == [("database", "old")]


def test_data_that_cannot_be_copied_ends_the_run(journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(OSError, match="data cannot be copied before the new version starts: no space"):
        journal.save_data(str(tmp_path / "data"), lambda _args: (1, "", "no space\n"))


def test_no_data_is_no_error(journal: Journal, tmp_path: Path) -> None:
    journal.save_data(str(tmp_path / "data"), copy)
    assert journal.data == {}


def test_directories_get_their_mode_back_and_new_ones_go_unless_full(journal: Journal, tmp_path: Path) -> None:
    old, new, full = tmp_path / "old", tmp_path / "new", tmp_path / "full"
    old.mkdir(mode=0o700)
    for each in (old, new, new / "below", full):
        journal.save_directory(str(each))
    old.chmod(0o777)
    (new / "below").mkdir(parents=True)
    full.mkdir()
    (full / "somebody").touch()
    for _ in range(2):
        journal.restore_directories()
        assert stat.S_IMODE(old.stat().st_mode) == 0o700
        assert (new.exists(), full.exists()) == (False, True)
