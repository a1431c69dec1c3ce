# SPDX-License-Identifier: MIT
"""Programs from a file or a URL: only with their sha256, only for their machine, and without Go."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs, _supply
from ansible_collections.wonder.mesh.plugins.plugin_utils._programs import ProgramError
from tests.unit.plugins.plugin_utils.https_server import Server, serving, write_certificate

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MACHINES = {"amd64": 0x3E, "arm64": 0xB7}
SHA = "ab" * 32


def binary(arch: str, content: bytes = b"the program") -> bytes:
    """As much of an ELF file as is looked at."""
    return b"\x7fELF" + bytes(14) + MACHINES[arch].to_bytes(2, "little") + content


def archive(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"demo_1/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def cache(go: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of cache entries, on a machine without Go."""
    monkeypatch.setenv("PATH", str(go / "nothing"))
    return go / "cache" / "wonder-mesh" / "programs"


def program(value: object, directory: Path) -> _programs.Program:
    return _supply.supplied(_programs.find("other"), value, lambda path: str(directory / path))


def pair(value: object, directory: Path) -> _programs.Program:
    """Of the program with two binaries."""
    return _supply.supplied(_programs.find("demo"), value, lambda path: str(directory / path))


def entries(cache: Path) -> list[str]:
    return [path.name for path in cache.iterdir() if path.is_dir()] if cache.exists() else []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("tls") / "pair.pem")


@pytest.fixture
def server(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving(certificate) as there:
        yield there


def test_a_file_with_its_hash_becomes_the_program_without_go(cache: Path, tmp_path: Path) -> None:
    content = binary("arm64")
    (tmp_path / "mine").write_bytes(content)
    mine = program({"arm64": {"other": {"file": "mine", "sha256": sha256(content).upper()}}}, tmp_path)
    assert mine.cached("arm64") is None
    (made,) = mine.build("arm64", print).values()
    assert (made.name, made.sha256, made.size) == ("other", sha256(content), len(content))
    assert gzip.decompress(made.archive.read_bytes()) == content
    assert mine.cached("arm64") == {"other": made}
    assert (mine.version, sorted(path.name for path in made.archive.parent.iterdir())) == (
        "given",
        ["manifest.json", "other.gz"],
    )


def test_nothing_given_is_the_build(cache: Path, tmp_path: Path) -> None:
    assert program({}, tmp_path) == program(None, tmp_path) == _programs.find("other")


def test_one_flipped_bit_is_refused_and_leaves_nothing(cache: Path, tmp_path: Path) -> None:
    content = binary("amd64")
    (tmp_path / "mine").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    mine = program({"amd64": {"other": {"file": "mine", "sha256": sha256(content)}}}, tmp_path)
    with pytest.raises(ProgramError, match=f"other for amd64: mine has the sha256 .* {sha256(content)} was expected"):
        mine.build("amd64", print)
    assert entries(cache) == []


def test_a_damaged_copy_in_the_cache_is_fetched_anew(cache: Path, tmp_path: Path, server: Server) -> None:
    content = binary("amd64")
    server.files["/demo"] = content
    mine = program({"amd64": {"other": {"url": f"{server.url}/demo", "sha256": sha256(content)}}}, tmp_path)
    path = mine.build("amd64", print)["other"].archive
    path.write_bytes(path.read_bytes()[:-3])
    assert mine.build("amd64", print)["other"].is_intact()
    assert server.asked == ["/demo", "/demo"]


def test_a_url_is_fetched_once(cache: Path, tmp_path: Path, server: Server) -> None:
    content = binary("amd64")
    server.files |= {"/demo": "/elsewhere", "/elsewhere": content}
    mine = program({"amd64": {"other": {"url": f"{server.url}/demo", "sha256": sha256(content)}}}, tmp_path)
    assert mine.build("amd64", print) == mine.build("amd64", print) == mine.cached("amd64")
    assert server.asked == ["/demo", "/elsewhere"]


def test_a_flipped_bit_on_the_way_is_refused(cache: Path, tmp_path: Path, server: Server) -> None:
    content = binary("amd64")
    server.files["/demo"] = content[:-1] + bytes([content[-1] ^ 1])
    mine = program({"amd64": {"other": {"url": f"{server.url}/demo", "sha256": sha256(content)}}}, tmp_path)
    with pytest.raises(ProgramError, match="so it is refused"):
        mine.build("amd64", print)
    assert entries(cache) == []


def test_a_redirect_to_http_is_not_followed(cache: Path, tmp_path: Path, server: Server) -> None:
    server.files["/demo"] = "http://127.0.0.1:9/demo"
    mine = program({"amd64": {"other": {"url": f"{server.url}/demo", "sha256": SHA}}}, tmp_path)
    with pytest.raises(ProgramError, match=r"cannot be had: .*http.*Check the address and the network"):
        mine.build("amd64", print)


def test_a_certificate_that_is_not_trusted_ends_it(
    cache: Path, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    mine = program({"amd64": {"other": {"url": f"{server.url}/demo", "sha256": SHA}}}, tmp_path)
    with pytest.raises(ProgramError, match=r"cannot be had: .*CERTIFICATE_VERIFY_FAILED"):
        mine.build("amd64", print)
    assert server.asked == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"file": "none"}, "none cannot be had: .*Name a file that is on the controller"),
        ({"url": "https://127.0.0.1:9/x"}, "cannot be had: .*Check the address and the network"),
    ],
)
def test_what_is_not_there_is_named(cache: Path, tmp_path: Path, source: dict[str, str], message: str) -> None:
    mine = program({"amd64": {"other": source | {"sha256": SHA}}}, tmp_path)
    with pytest.raises(ProgramError, match=message):
        mine.build("amd64", print)
    assert entries(cache) == []


def test_two_binaries_come_from_one_archive(cache: Path, tmp_path: Path, server: Server) -> None:
    packed = archive(demo=binary("amd64", b"a"), demod=binary("amd64", b"b"), **{"demo.service": b"x"})
    server.files["/demo.tgz"] = packed
    source = {"url": f"{server.url}/demo.tgz", "sha256": sha256(packed)}
    made = pair({"amd64": {"demo": source, "demod": source}}, tmp_path).build("amd64", print)
    assert {name: gzip.decompress(each.archive.read_bytes())[-1:] for name, each in made.items()} == {
        "demo": b"a",
        "demod": b"b",
    }
    assert server.asked == ["/demo.tgz"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(archive(README=b""), "holds 0 files that are called other", id="not in the archive"),
        pytest.param(gzip.compress(b"x" * 99), "is no .tar.gz that can be read", id="no archive"),
        pytest.param(archive(other=binary("arm64")), "is no Linux program for amd64", id="another machine, packed"),
        pytest.param(binary("arm64"), "is no Linux program for amd64. Name the one for amd64", id="another machine"),
        pytest.param(b"<html>", "is no Linux program for amd64", id="a page"),
        pytest.param(b"", "is no Linux program for amd64", id="empty"),
    ],
)
def test_what_is_no_such_program_is_refused(cache: Path, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "mine").write_bytes(content)
    mine = program({"amd64": {"other": {"file": "mine", "sha256": sha256(content)}}}, tmp_path)
    with pytest.raises(ProgramError, match=message):
        mine.build("amd64", print)
    assert entries(cache) == []


def test_what_is_too_large_is_refused(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_supply, "SIZE_LIMIT", 10)
    (tmp_path / "mine").write_bytes(binary("amd64"))
    mine = program({"amd64": {"other": {"file": "mine", "sha256": SHA}}}, tmp_path)
    with pytest.raises(ProgramError, match="larger than 1 GiB"):
        mine.build("amd64", print)


def test_an_architecture_that_is_not_given_is_named(cache: Path, tmp_path: Path) -> None:
    mine = program({"arm64": {"other": {"file": "mine", "sha256": SHA}}}, tmp_path)
    assert mine.cached("amd64") is None
    with pytest.raises(ProgramError, match=r"source of other names arm64 and nothing for amd64. Add it there, or"):
        mine.build("amd64", print)


def test_another_hash_is_another_entry_and_another_place_is_not(cache: Path, tmp_path: Path) -> None:
    def entry(**source: str) -> Path:
        return program({"amd64": {"other": source}}, tmp_path).entry("amd64")

    first = entry(file="a", sha256=SHA)
    assert first == entry(url="https://example.com/b", sha256=SHA)
    assert first != entry(file="a", sha256="cd" * 32)
