# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import stat
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils import _files
from ansible_collections.wonder.mesh.plugins.module_utils._files import Directory, File, FileError, look, stage

if t.TYPE_CHECKING:
    from pathlib import Path

ME = (_files._user_name(os.getuid()), _files._group_name(os.getgid()))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file(path: Path, content: bytes | None = b"new\n", mode: int = 0o640, **more: t.Any) -> File:
    return File(str(path), mode, *ME, more.pop("sha256", digest(content or b"")), content, **more)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_sees_what_lies_at_a_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0o600)
    (tmp_path / "link").symlink_to("file")
    owner = f"owner: {ME[0]}\ngroup: {ME[1]}\n"
    assert look(str(tmp_path / "nothing")).kind == look(str(tmp_path / "file" / "below")).kind == "absent"
    assert look(str(tmp_path)).kind == "directory"
    assert look(str(tmp_path / "link")).kind == "other"
    assert look(str(tmp_path / "file")) == _files.Found("file", owner + "mode: 0600\n", digest(b"x"))


def test_an_owner_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(number: int) -> t.NoReturn:
        raise KeyError(number)

    monkeypatch.setattr(_files.pwd, "getpwuid", nobody)
    monkeypatch.setattr(_files.grp, "getgrgid", nobody)
    assert (_files._user_name(7), _files._group_name(8)) == ("7", "8")


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_a_staged_file_is_whole_and_has_its_mode_before_it_is_swapped(tmp_path: Path, mask: int) -> None:
    target = tmp_path / "config"
    target.write_text("old\n")
    before = os.umask(mask)
    stage(file(target), {})
    os.umask(before)
    assert names(tmp_path) == [".config.wonder-mesh", "config"]
    assert target.read_text() == "old\n"
    assert stat.S_IMODE((tmp_path / ".config.wonder-mesh").stat().st_mode) == 0o640
    _files.swap(file(target))
    assert (names(tmp_path), target.read_text()) == (["config"], "new\n")


def test_content_comes_from_an_upload(tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    (tmp_path / "upload").write_bytes(gzip.compress(content, 1))
    stage(file(tmp_path / "program", None, sha256=digest(content)), {digest(content): str(tmp_path / "upload")})
    assert (tmp_path / ".program.wonder-mesh").read_bytes() == content


def test_content_that_is_there_already_is_taken_from_there(tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(b"here")
    stage(file(tmp_path / "program", None, mode=0o755, sha256=digest(b"here")), {})
    _files.swap(file(tmp_path / "program"))
    assert (tmp_path / "program").read_bytes() == b"here"
    assert stat.S_IMODE((tmp_path / "program").stat().st_mode) == 0o755


@pytest.mark.parametrize("cut", [1, 5, 9])
def test_a_truncated_upload_is_refused_and_leaves_nothing(tmp_path: Path, cut: int) -> None:
    (tmp_path / "upload").write_bytes(gzip.compress(b"content")[:-cut])
    with pytest.raises(FileError, match=r"what arrived is damaged .* nothing was changed"):
        stage(file(tmp_path / "program", None, sha256="00"), {"00": str(tmp_path / "upload")})
    assert names(tmp_path) == ["upload"]


def test_every_flipped_bit_of_an_upload_is_found(tmp_path: Path) -> None:
    whole = gzip.compress(b"some content", mtime=0)
    upload, target = tmp_path / "upload", tmp_path / ".program.wonder-mesh"
    for bit in range(len(whole) * 8):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        upload.write_bytes(damaged)
        try:
            stage(
                file(tmp_path / "program", None, sha256=digest(b"some content")), {digest(b"some content"): str(upload)}
            )
        except FileError:
            assert not target.exists()
        else:
            assert target.read_bytes() == b"some content", f"bit {bit}"


def test_other_content_than_was_promised_is_refused_by_its_hash(tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(gzip.compress(b"other"))
    with pytest.raises(FileError, match=f"has the sha256 {digest(b'other')}, expected 00; it was damaged") as caught:
        stage(file(tmp_path / "program", None, sha256="00"), {"00": str(tmp_path / "upload")})
    assert "other" not in str(caught.value).replace(str(tmp_path), "")
    assert names(tmp_path) == ["upload"]


def test_a_missing_upload_is_an_error_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        stage(file(tmp_path / "program", None, sha256="00"), {"00": str(tmp_path / "upload")})
    assert names(tmp_path) == []


def test_a_link_at_the_staged_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / ".config.wonder-mesh").symlink_to("victim")
    with contextlib.suppress(OSError):
        stage(file(tmp_path / "config"), {})
    assert (tmp_path / "victim").read_text() == "precious"


def test_staging_never_writes_into_a_file_with_another_name(tmp_path: Path) -> None:
    """A run that is killed while it puts a file back leaves the saved copy under the staged name too."""
    (tmp_path / "saved").write_text("previous state")
    os.link(tmp_path / "saved", tmp_path / ".config.wonder-mesh")
    stage(file(tmp_path / "config"), {})
    assert (tmp_path / "saved").read_text() == "previous state"


def test_an_unknown_owner_leaves_nothing(tmp_path: Path) -> None:
    wanted = File(str(tmp_path / "config"), 0o644, "no-such-user", ME[1], digest(b""), b"")
    with pytest.raises(KeyError):
        stage(wanted, {})
    assert names(tmp_path) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_root_gives_files_and_directories_their_owner(tmp_path: Path) -> None:
    wanted = File(str(tmp_path / "config"), 0o4750, "nobody", "root", digest(b""), b"")
    stage(wanted, {})
    _files.swap(wanted)
    assert look(wanted.path).summary == wanted.summary == "owner: nobody\ngroup: root\nmode: 4750\n"
    directory = Directory(str(tmp_path / "directory"), 0o1770, "nobody", "root")
    _files.make_directory(directory)
    assert look(directory.path).summary == directory.summary


def test_a_directory_is_made_or_mended(tmp_path: Path) -> None:
    wanted = Directory(str(tmp_path / "directory"), 0o750, *ME)
    _files.make_directory(wanted)
    (tmp_path / "directory").chmod(0o777)
    (tmp_path / "directory" / "inside").touch()
    _files.make_directory(wanted)
    assert look(wanted.path).summary == wanted.summary
    assert names(tmp_path / "directory") == ["inside"]


def test_a_directory_behind_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(OSError, match="link"):
        _files.make_directory(Directory(str(tmp_path / "link"), 0o777, *ME))
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o700


def test_writing_atomically_never_tears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "applied.json"
    path.write_text("old")
    order: list[str] = []
    rename = os.rename
    monkeypatch.setattr(os, "fsync", lambda _descriptor: order.append("fsync"))
    monkeypatch.setattr(os, "rename", lambda *names: (order.append("rename"), rename(*names)))
    _files.write_atomically(str(path), b"new")
    assert order == ["fsync", "rename", "fsync"]
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode), names(tmp_path)) == ("new", 0o600, ["applied.json"])


@pytest.mark.parametrize(
    ("content", "shown"), [(b"text\n", "text\n"), (b"\xff\x00", "(no text)\n"), (b"x" * 11, "(a long file)\n")]
)
def test_what_a_diff_shows_of_a_file(tmp_path: Path, content: bytes, shown: str) -> None:
    (tmp_path / "file").write_bytes(content)
    assert _files.text_of(str(tmp_path / "file"), limit=10) == shown


def test_removing_tells_whether_something_went(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to("directory")
    gone = [_files.remove(str(tmp_path / name)) for name in ("file", "link", "directory", "file", "file/below")]
    assert gone == [True, True, True, False, False]
    (tmp_path / "full" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="not empty"):
        _files.remove(str(tmp_path / "full"))
    _files.remove_tree(str(tmp_path / "full"))
    _files.remove_tree(str(tmp_path / "full"))
    assert names(tmp_path) == []
