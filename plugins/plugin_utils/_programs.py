# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Programs: upstream binaries that are built from the pinned Go modules in ``programs/`` and kept in a cache.

A cache entry is a directory ``programs/<name>-<version>-<arch>-<key>`` in the user's cache folder. It holds each
binary gzipped, and ``manifest.json`` with the size and sha256 of every binary. The key hashes all that decides the
bytes: the pins, our own Go files, the build's flags and the version of Go. An entry appears by a rename, complete.
What the user supplies instead of a build lies there too, with the version ``given`` and a key made of its hashes.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._cache import Binary, cache_directory, locked, pack

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.wonder.mesh.plugins.plugin_utils._cache import Report
    from ansible_collections.wonder.mesh.plugins.plugin_utils._supply import Supply

GO_MINIMUM = (1, 26, 6)  # the newest that a go.mod asks for
SOURCES = pathlib.Path(__file__).resolve().parents[2] / "programs"

# What `uname -m` calls a machine, and what Go calls it.
ARCHITECTURES: Mapping[str, str] = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "riscv64": "riscv64",
}

# Everything here is part of an entry's key; GOTOOLCHAIN=local makes a pin that needs a newer Go fail loudly.
BUILD_ENVIRONMENT: Mapping[str, str] = {
    "CGO_ENABLED": "0",
    "GOARM": "7",
    "GOFLAGS": "",
    "GOOS": "linux",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}
BUILD_FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false")


class ProgramError(Exception):
    """A program is unknown, refused or cannot be built; the message says what to do."""


@dataclasses.dataclass(frozen=True)
class Program:
    """One upstream program at its pinned version, or what the user supplies in its place."""

    name: str
    version: str
    directory: pathlib.Path
    packages: Mapping[str, str]
    ldflags: str
    supply: Supply | None = None

    def key(self, arch: str) -> str:
        """Names the bytes that a build for ``arch`` gives: 16 hex digits."""
        if self.supply is not None:
            return self.supply.key(arch)
        digest = hashlib.sha256()
        recipe = [
            go_version(),
            arch,
            sorted(BUILD_ENVIRONMENT.items()),
            BUILD_FLAGS,
            sorted(self.packages.items()),
            self.ldflags,
        ]
        digest.update(json.dumps(recipe).encode())
        for path in sorted([*self.directory.glob("go.*"), *self.directory.glob("*.go")]):
            digest.update(b"\0" + path.name.encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()[:16]

    def entry(self, arch: str) -> pathlib.Path:
        """Where the build for ``arch`` lies, or will lie."""
        return cache_directory() / "programs" / f"{self.name}-{self.version}-{arch}-{self.key(arch)}"

    def cached(self, arch: str) -> dict[str, Binary] | None:
        """The binaries of a finished build by name; None when there is none yet."""
        if self.supply is not None and arch not in self.supply:
            return None
        entry = self.entry(arch)
        try:
            manifest = json.loads((entry / "manifest.json").read_text(encoding="utf-8"))
            return {
                name: Binary(name, manifest[name]["sha256"], manifest[name]["size"], entry / f"{name}.gz")
                for name in sorted(self.packages)
            }
        except (FileNotFoundError, KeyError, TypeError, ValueError):
            # None yet, or a damaged one, which is built again.
            return None

    def build(self, arch: str, report: Report) -> dict[str, Binary]:
        """The binaries for ``arch``, made when the cache has none or a damaged one. Minutes, the first time."""
        entry = self.entry(arch)
        entry.parent.mkdir(parents=True, exist_ok=True)
        with locked(entry.parent / f".{entry.name}.lock", report):
            binaries = self.cached(arch)
            if binaries is not None and all(each.is_intact() for each in binaries.values()):
                return binaries
            if binaries is not None:
                report(f"{self.name} {self.version} for {arch}: the cached copy is damaged, making it anew")
            with tempfile.TemporaryDirectory(prefix=f".{entry.name}.", dir=entry.parent) as scratch:
                staged = pathlib.Path(scratch, "entry")
                staged.mkdir()
                self._make(arch, staged, report)
                if entry.exists():
                    shutil.rmtree(entry)
                staged.rename(entry)
        built = self.cached(arch)
        if built is None:
            raise ProgramError(
                f"{self.name}: the build left no manifest in {entry}; is the cache folder being emptied?"
            )
        return built

    def _make(self, arch: str, target: pathlib.Path, report: Report) -> None:
        if self.supply is not None:
            self.supply.fetch(arch, target, report)
        else:
            self._compile(arch, target, report)
        manifest = {}
        for name in sorted(self.packages):
            manifest[name] = pack(target / name)
        (target / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    def _compile(self, arch: str, target: pathlib.Path, report: Report) -> None:
        for name, package in sorted(self.packages.items()):
            flags = [*BUILD_FLAGS, "-v", "-ldflags", f"-s -w {self.ldflags}".strip(), "-o", str(target / name)]
            _go_build(["build", *flags, package], self, arch, name, report)


@functools.cache
def go_version() -> str:
    """Go's version, such as ``go1.26.8``; raises when there is no Go, or one that is too old."""
    least = ".".join(map(str, GO_MINIMUM))
    how = f"Install Go {least} or newer (https://go.dev/dl/) and put its bin directory on PATH."
    try:
        answer = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as exc:
        raise ProgramError(f"the programs are built with Go, but `go` cannot be run ({exc}). {how}") from None
    found = answer.stdout.strip()
    match = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", found)
    if match is None or tuple(int(part or 0) for part in match.groups()) < GO_MINIMUM:
        raise ProgramError(f"Go on PATH is {found or 'of no known version'}, which is too old. {how}")
    return found


def go_arch(machine: str) -> str:
    """What Go calls the architecture that ``uname -m`` calls ``machine``."""
    try:
        return ARCHITECTURES[machine]
    except KeyError:
        known = ", ".join(sorted(ARCHITECTURES))
        raise ProgramError(
            f"no program is built for the architecture {machine}; there are builds for {known}"
        ) from None


def find(name: str, version: str = "") -> Program:
    """The program of that name; ``version`` (with or without a leading v) must be the pinned one, if given."""
    table = json.loads((SOURCES / "programs.json").read_text(encoding="utf-8"))
    if name not in table:
        raise ProgramError(f"unknown program {name}; there are {', '.join(sorted(table))}")
    each = table[name]
    pins = (SOURCES / name / "go.mod").read_text(encoding="utf-8")
    match = re.search(rf"^(?:require )?\s*{re.escape(each['module'])} v(\S+)", pins, re.MULTILINE)
    if match is None:
        raise ProgramError(f"programs/{name}/go.mod does not require {each['module']}")
    pinned = match[1]
    if version and version.removeprefix("v") != pinned:
        raise ProgramError(f"unknown version {version} of {name}; programs/{name} pins {pinned}")
    return Program(name, pinned, SOURCES / name, each["binaries"], each.get("ldflags", "").format(version=pinned))


def names() -> list[str]:
    """The names of all programs, sorted."""
    return sorted(json.loads((SOURCES / "programs.json").read_text(encoding="utf-8")))


def _go_build(arguments: list[str], program: Program, arch: str, binary: str, report: Report) -> None:
    """Run ``go`` in the program's module and report how many packages are done, every five seconds."""
    what = f"{binary} {program.version} for {arch}"
    report(f"{what}: building; the first build takes some minutes")
    environment = os.environ | BUILD_ENVIRONMENT | {"GOARCH": arch}
    lines: list[str] = []
    done, said = 0, time.monotonic()
    with subprocess.Popen(
        ["go", *arguments], cwd=program.directory, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for line in t.cast("t.IO[str]", process.stderr):
                lines.append(line.rstrip())
                # With -v, a bare import path is a package that has been compiled.
                done += " " not in line and not line.startswith("#")
                if time.monotonic() - said >= 5:
                    report(f"{what}: {done} packages compiled")
                    said = time.monotonic()
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        tail = "\n".join(lines[-15:])
        raise ProgramError(f"{what}: go {arguments[0]} failed with exit status {process.returncode}:\n{tail}")
