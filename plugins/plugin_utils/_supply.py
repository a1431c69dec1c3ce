# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Programs that the user supplies: for each binary a file on the controller or a URL with its sha256, and no build.

The value of a ``<role>_program_source`` is ``{ARCHITECTURE: {BINARY: {file|url: ..., sha256: ...}}}``. The file is the
binary itself, or a .tar.gz that holds one file of the binary's name; the sha256 is that of the file as it is named.
"""

from __future__ import annotations

import dataclasses
import hashlib
import http.client
import json
import pathlib
import re
import shutil
import ssl
import tarfile
import time
import typing as t
import urllib.parse
import urllib.request

from ansible_collections.wonder.mesh.plugins.plugin_utils._programs import ARCHITECTURES, ProgramError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from ansible_collections.wonder.mesh.plugins.plugin_utils._cache import Report
    from ansible_collections.wonder.mesh.plugins.plugin_utils._programs import Program

SIZE_LIMIT = 1 << 30  # bytes; the largest program has 60 MB
CHUNK = 1 << 20  # bytes
PATIENCE = 30.0  # seconds that a server may stay silent
SHAPE = "Write it as {amd64: {%s: {url: https://..., sha256: ...}}}, or with file: instead of url:"

# e_machine, two bytes at offset 18 of an ELF file; all four are little-endian (elf.h).
MACHINES: Mapping[str, int] = {"amd64": 0x3E, "arm64": 0xB7, "arm": 0x28, "riscv64": 0xF3}
ELF_MAGIC, GZIP_MAGIC = b"\x7fELF", b"\x1f\x8b"


class Mistake(t.NamedTuple):
    """What is wrong with a value: where in it (``.amd64.caddy.url``), what was found there, why, and what to do."""

    where: str
    found: object
    reason: str
    fix: str


@dataclasses.dataclass(frozen=True)
class Source:
    """Where one file comes from: a path on the controller or an https URL; and its sha256 (64 hex digits)."""

    kind: str
    place: str
    sha256: str


def mistakes(value: object, binaries: Collection[str]) -> Iterator[Mistake]:
    """All that is wrong with the form of a value; ``binaries`` are those that the program consists of."""
    shape = SHAPE % sorted(binaries)[0]
    known = sorted(ARCHITECTURES.values())
    if not isinstance(value, dict):
        yield Mistake("", value, "it must be a mapping of architectures", shape)
        return
    for arch, given in value.items():
        where = f".{arch}"
        if arch not in known:
            yield Mistake(where, arch, "there is no such architecture", f"Use {', '.join(known)}")
        elif not isinstance(given, dict) or set(given) != set(binaries):
            yield Mistake(where, given, f"it must name {' and '.join(sorted(binaries))}, and nothing else", shape)
        else:
            for name, source in given.items():
                yield from _source_mistakes(f"{where}.{name}", source, shape)


def _source_mistakes(where: str, source: object, shape: str) -> Iterator[Mistake]:
    if not isinstance(source, dict) or set(source) not in ({"file", "sha256"}, {"url", "sha256"}):
        yield Mistake(where, source, "it must have a sha256, and either a file or a url", shape)
        return
    if not isinstance(source["sha256"], str) or not re.fullmatch(r"[0-9a-fA-F]{64}", source["sha256"]):
        fix = "Set it to what `sha256sum FILE` prints, in quotes"
        yield Mistake(f"{where}.sha256", source["sha256"], "a sha256 is 64 hexadecimal digits", fix)
    if "file" in source:
        if not isinstance(source["file"], str) or not source["file"]:
            yield Mistake(f"{where}.file", source["file"], "it is no path", "Name a file that is on the controller")
        return
    if not _is_https(source["url"]):
        fix = (
            "Use an address that begins with https:// and holds no user and password, or download it and name the file"
        )
        yield Mistake(f"{where}.url", source["url"], "a program is fetched over https only", fix)


def _is_https(url: object) -> bool:
    try:
        parts = urllib.parse.urlsplit(url) if isinstance(url, str) else None
        return (
            parts is not None
            and (parts.scheme, "@" in parts.netloc) == ("https", False)
            and bool(parts.hostname)
            and (parts.port or 443) > 0
            and not re.search(r"[^!-~]", str(url))  # no blanks, nothing but ASCII
        )
    except ValueError:
        return False


def _sources(value: Mapping[str, Mapping[str, Mapping[str, str]]]) -> dict[str, dict[str, Source]]:
    """The sources by architecture and binary, of a value without mistakes."""
    return {str(arch): {str(name): _source(each) for name, each in given.items()} for arch, given in value.items()}


def _source(each: Mapping[str, str]) -> Source:
    kind = "file" if "file" in each else "url"
    return Source(kind, str(each[kind]), str(each["sha256"]).lower())


def supplied(program: Program, value: object, find_file: Callable[[str], str]) -> Program:
    """The program from where ``value`` says, or as it is when that is empty. Raises ProgramError for a mistake in it.

    ``find_file`` makes a path of what the user writes.
    """
    if not value:
        return program
    for where, found, reason, fix in mistakes(value, program.packages):
        raise ProgramError(
            f"the source of {program.name}{where}: found {json.dumps(found, default=str)}: {reason}. {fix}."
        )
    supply = Supply(program.name, _sources(t.cast("t.Any", value)), find_file)
    return dataclasses.replace(program, version="given", supply=supply)


@dataclasses.dataclass(frozen=True)
class Supply:
    """Where a program's binaries come from instead of a build, by architecture and binary."""

    program: str
    sources: Mapping[str, Mapping[str, Source]]
    find_file: Callable[[str], str]

    def __contains__(self, arch: object) -> bool:
        return arch in self.sources

    def key(self, arch: str) -> str:
        """Names the bytes: 16 hex digits of a hash of the files' hashes. Where they lie decides nothing."""
        if arch not in self.sources:
            given = ", ".join(sorted(self.sources))
            fix = "Add it there, or take the variable from this host to have it built"
            raise ProgramError(f"the source of {self.program} names {given} and nothing for {arch}. {fix}.")
        pins = sorted((name, source.sha256) for name, source in self.sources[arch].items())
        return hashlib.sha256(json.dumps(pins).encode()).hexdigest()[:16]

    def fetch(self, arch: str, target: pathlib.Path, report: Report) -> None:
        """Put the binaries for ``arch``, each verified, into the directory ``target``. Raises ProgramError."""
        fetched: dict[Source, pathlib.Path] = {}
        for name, source in sorted(self.sources[arch].items()):
            what = f"{name} for {arch}"
            if source not in fetched:  # two binaries may lie in one archive
                fetched[source] = target / f".fetched-{len(fetched)}"
                self._get(source, what, fetched[source], report)
            _extract(fetched[source], name, what, source, target / name)
            _check_machine(target / name, arch, what, source)
        for path in fetched.values():
            path.unlink()

    def _get(self, source: Source, what: str, path: pathlib.Path, report: Report) -> None:
        """The bytes of a source, written to ``path`` and compared with their hash."""
        digest, size, said = hashlib.sha256(), 0, time.monotonic()
        report(f"{what}: {'reading' if source.kind == 'file' else 'fetching'} {source.place}")
        try:
            with self._open(source) as stream, open(path, "wb") as sink:
                while chunk := stream.read(CHUNK):
                    size += len(chunk)
                    if size > SIZE_LIMIT:
                        raise ProgramError(f"{what}: {source.place} is larger than 1 GiB, which no program is")
                    digest.update(chunk)
                    sink.write(chunk)
                    if time.monotonic() - said >= 5:
                        report(f"{what}: {size / 1e6:.0f} MB fetched")
                        said = time.monotonic()
        except (OSError, http.client.HTTPException, ValueError) as exc:
            fix = (
                "Check the address and the network" if source.kind == "url" else "Name a file that is on the controller"
            )
            raise ProgramError(f"{what}: {source.place} cannot be had: {exc}. {fix}.") from None
        if digest.hexdigest() != source.sha256:
            raise ProgramError(
                f"{what}: {source.place} has the sha256 {digest.hexdigest()}, and {source.sha256} was expected, so it "
                "is refused. Get the right file, or set the sha256 that its publisher names."
            )

    def _open(self, source: Source) -> t.IO[bytes]:
        if source.kind == "file":
            return open(self.find_file(source.place), "rb")
        opener = urllib.request.OpenerDirector()
        # Nothing in it speaks http, so a redirect to it ends here as well.
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPSHandler(context=ssl.create_default_context()),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPRedirectHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.UnknownHandler(),
        ):
            opener.add_handler(handler)
        return t.cast("t.IO[bytes]", opener.open(source.place, timeout=PATIENCE))


def _extract(fetched: pathlib.Path, name: str, what: str, source: Source, path: pathlib.Path) -> None:
    """The binary itself: the file, or the one of its name in it."""
    with open(fetched, "rb") as stream:
        if stream.read(2) != GZIP_MAGIC:
            shutil.copyfile(fetched, path)
            return
    try:
        with tarfile.open(fetched, "r:gz") as archive:
            found = [each for each in archive if each.isfile() and pathlib.PurePosixPath(each.name).name == name]
            if len(found) == 1:
                with t.cast("t.IO[bytes]", archive.extractfile(found[0])) as stream, open(path, "wb") as sink:
                    shutil.copyfileobj(stream, sink, CHUNK)
                return
    except (tarfile.TarError, OSError, EOFError) as exc:
        raise ProgramError(f"{what}: {source.place} is no .tar.gz that can be read: {exc}") from None
    raise ProgramError(f"{what}: {source.place} holds {len(found)} files that are called {name}, and should hold one")


def _check_machine(path: pathlib.Path, arch: str, what: str, source: Source) -> None:
    """A binary for another machine is noticed here, not by a daemon that does not start."""
    with open(path, "rb") as stream:
        head = stream.read(20)
    if head[:4] != ELF_MAGIC or int.from_bytes(head[18:20], "little") != MACHINES[arch]:
        raise ProgramError(f"{what}: {source.place} is no Linux program for {arch}. Name the one for {arch}.")
