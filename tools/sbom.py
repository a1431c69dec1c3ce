#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write programs/sbom.json: which modules the programs are built from, their hashes and licences, as CycloneDX 1.5.

It needs no network: versions come from each go.mod, hashes from go.sum, licences from the texts in the module cache
that a build fills. A module's SHA-256 is the h1 hash of go.sum in hexadecimal, as cyclonedx-gomod writes it: that of
the list of the module's files with their hashes. There is no time in it, so equal pins give an equal file.
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import re
import subprocess
import sys
import typing as t
import urllib.parse

PROGRAMS = pathlib.Path(__file__).resolve().parents[1] / "programs"
SBOM = PROGRAMS / "sbom.json"

# A sentence that is in the text of one licence only, blanks as one space and letters small. The first that fits counts.
LICENCES: tuple[tuple[str, str], ...] = (
    ("MPL-2.0", r"mozilla public license,? version 2\.0"),
    ("AGPL-3.0-only", r"gnu affero general public license"),
    ("LGPL-3.0-only", r"gnu lesser general public license version 3"),
    ("GPL-3.0-only", r"gnu general public license version 3"),
    ("Apache-2.0", r"apache license,? version 2\.0"),
    ("CC0-1.0", r"cc0 1\.0 universal"),
    ("FTL OR GPL-2.0-or-later", r"choice of exactly one of the following two licenses: \S? ?the freetype license"),
    ("Unlicense", r"this is free and unencumbered software released into the public domain"),
    ("ISC", r"permission to use, copy, modify,? and/?(or)? distribute this software for any purpose"),
    ("MIT", r"permission is hereby granted, free of charge, to any person obtaining a copy"),
    ("BSD-3-Clause", r"redistribution and use in source and binary forms.*neither the names? of"),
    ("BSD-3-Clause", r"redistribution and use in source and binary forms.*may (not )?be used to endorse"),
    ("BSD-2-Clause", r"redistribution and use in source and binary forms"),
)
LICENCE_FILE = re.compile(r"(un)?licen[cs]e(\.\w+)?|copying(\.\w+)?", re.IGNORECASE)


class SbomError(Exception):
    """Something is missing; the message says what to do."""


class Module(t.NamedTuple):
    """One module at one version, as a go.mod has it."""

    path: str
    version: str

    @property
    def purl(self) -> str:
        return f"pkg:golang/{self.path}@{urllib.parse.quote(self.version, safe='')}"


def pins(program: str) -> list[Module]:
    """All modules that the go.mod of a program requires, in its order."""
    text = (PROGRAMS / program / "go.mod").read_text(encoding="utf-8")
    blocks = re.findall(r"^require \(\n(.*?)^\)", text, re.MULTILINE | re.DOTALL)
    lines = [*re.findall(r"^require ([^(\s].*)$", text, re.MULTILINE), *"\n".join(blocks).splitlines()]
    return [Module(*line.split()[:2]) for line in lines if line.strip()]


def hashes(program: str) -> dict[Module, str]:
    """The SHA-256 of each module in the go.sum of a program, hexadecimal."""
    found = {}
    for line in (PROGRAMS / program / "go.sum").read_text(encoding="utf-8").splitlines():
        path, version, digest = line.split()
        if not version.endswith("/go.mod"):
            found[Module(path, version)] = base64.b64decode(digest.removeprefix("h1:"), validate=True).hex()
    return found


def licence(text: str) -> str:
    """The SPDX identifier of a licence's text; empty when it is none that is known."""
    plain = " ".join(re.sub(r"^[\s/*#>]+", "", text.lower(), flags=re.MULTILINE).split())
    return next((name for name, words in LICENCES if re.search(words, plain)), "")


def licences(module: Module, cache: pathlib.Path) -> list[str]:
    """The SPDX identifiers of the licence files in a module's top directory, sorted."""
    directory = cache / _escaped(f"{module.path}@{module.version}")
    if not directory.is_dir():
        raise SbomError(f"{module.path} {module.version} is not in the module cache; run tools/programs.py first")
    texts = [path.read_text("utf-8", "replace") for path in directory.iterdir() if LICENCE_FILE.fullmatch(path.name)]
    return sorted({licence(text) for text in texts} - {""})


def _escaped(path: str) -> str:
    """A path as the module cache has it: !x for X, since file systems may not tell them apart."""
    return re.sub(r"[A-Z]", lambda match: f"!{match[0].lower()}", path)


def component(module: Module, digest: str, found: list[str], *, main: bool) -> dict[str, t.Any]:
    made: dict[str, t.Any] = {
        "bom-ref": module.purl,
        "type": "application" if main else "library",
        "name": module.path,
        "version": module.version,
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "purl": module.purl,
    }
    if found:
        # An expression says that all of several apply; of one the identifier is the form that more readers know.
        one = len(found) == 1 and " " not in found[0]
        made["licenses"] = [{"license": {"id": found[0]}} if one else {"expression": " AND ".join(found)}]
    return made


def document(licences_of: t.Callable[[Module], list[str]]) -> dict[str, t.Any]:
    """The whole bill of materials."""
    table = json.loads((PROGRAMS / "programs.json").read_text(encoding="utf-8"))
    components: dict[Module, dict[str, t.Any]] = {}
    dependencies: dict[str, set[str]] = {}
    for program in sorted(table):
        sums = hashes(program)
        (root,) = [module for module in pins(program) if module.path == table[program]["module"]]
        for module in pins(program):
            main = module == root or components.get(module, {}).get("type") == "application"
            components[module] = component(module, sums[module], licences_of(module), main=main)
        # Two programs may be of one module.
        dependencies.setdefault(root.purl, set()).update(module.purl for module in pins(program) if module != root)
    name = "wonder.mesh programs"
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"bom-ref": name, "type": "application", "name": name}},
        "components": [components[module] for module in sorted(components)],
        "dependencies": [
            {"ref": name, "dependsOn": sorted(dependencies)},
            *({"ref": ref, "dependsOn": sorted(needs)} for ref, needs in sorted(dependencies.items())),
        ],
    }


def main() -> int:
    answer = subprocess.run(["go", "env", "GOMODCACHE"], capture_output=True, text=True, check=True, timeout=60)
    cache = pathlib.Path(answer.stdout.strip())
    try:
        made = document(lambda module: licences(module, cache))
    except SbomError as exc:
        print(f"sbom: {exc}", file=sys.stderr)
        return 1
    temporary = SBOM.with_suffix(".new")
    temporary.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, SBOM)
    unknown = [each["name"] for each in made["components"] if "licenses" not in each]
    count, rest = len(made["components"]), ", ".join(unknown) or "none"
    print(f"sbom: {count} modules in {SBOM.name}; without a known licence: {rest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
