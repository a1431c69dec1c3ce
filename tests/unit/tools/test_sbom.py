# SPDX-License-Identifier: MIT
"""The bill of materials says what go.mod and go.sum say, and a licence for everything."""

from __future__ import annotations

import json
import typing as t

import pytest

from tools import sbom

if t.TYPE_CHECKING:
    from pathlib import Path

# Ours to look at when a program moves; none of it has a licence text in its module.
WITHOUT_LICENCE = ["github.com/go4org/plan9netshell"]


def committed() -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", json.loads(sbom.SBOM.read_text(encoding="utf-8")))


def test_it_is_what_the_pins_give() -> None:
    """If this fails, run tools/sbom.py. Licences are as committed: a machine that built nothing has no texts."""
    found = committed()
    known = {each["bom-ref"]: each.get("licenses") for each in found["components"]}
    made = sbom.document(lambda _: [])
    for each in made["components"]:
        if known.get(each["bom-ref"]):
            each["licenses"] = known[each["bom-ref"]]
    assert made == found


def test_every_module_has_a_licence() -> None:
    assert [each["name"] for each in committed()["components"] if "licenses" not in each] == WITHOUT_LICENCE


def test_the_programs_are_applications() -> None:
    table = json.loads((sbom.PROGRAMS / "programs.json").read_text(encoding="utf-8"))
    found = sorted(each["name"] for each in committed()["components"] if each["type"] == "application")
    assert found == sorted({each["module"] for each in table.values()})


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of two modules, and a module cache that has both."""
    programs = tmp_path / "programs"
    (programs / "demo").mkdir(parents=True)
    (programs / "programs.json").write_text('{"demo": {"module": "example.com/demo"}}')
    (programs / "demo" / "go.mod").write_text(
        "module x\n\ngo 1.26.0\n\nrequire example.com/demo v1.0.0\n\n"
        "require (\n\texample.com/Lib v2.0.0+incompatible // indirect\n)\n"
    )
    (programs / "demo" / "go.sum").write_text(
        "example.com/demo v1.0.0 h1:AAEC\nexample.com/demo v1.0.0/go.mod h1:AAED\n"
        "example.com/Lib v2.0.0+incompatible h1:AAEE\nexample.com/old v1.0.0 h1:AAEF\n"
    )
    for name in ("demo@v1.0.0", "!lib@v2.0.0+incompatible"):
        (tmp_path / "cache" / "example.com" / name).mkdir(parents=True)
    monkeypatch.setattr(sbom, "PROGRAMS", programs)
    return tmp_path / "cache"


def test_a_module_has_version_hash_and_place_in_the_tree(demo: Path) -> None:
    made = sbom.document(lambda module: ["MIT"] if module.path == "example.com/demo" else [])
    library, program = made["components"]
    assert library == {
        "bom-ref": "pkg:golang/example.com/Lib@v2.0.0%2Bincompatible",
        "type": "library",
        "name": "example.com/Lib",
        "version": "v2.0.0+incompatible",
        "hashes": [{"alg": "SHA-256", "content": "000104"}],
        "purl": "pkg:golang/example.com/Lib@v2.0.0%2Bincompatible",
    }
    assert (program["type"], program["licenses"]) == ("application", [{"license": {"id": "MIT"}}])
    assert made["dependencies"][1] == {"ref": program["purl"], "dependsOn": [library["purl"]]}


def test_several_licences_are_one_expression(demo: Path) -> None:
    made = sbom.document(lambda _: ["Apache-2.0", "MIT"])
    assert made["components"][0]["licenses"] == [{"expression": "Apache-2.0 AND MIT"}]


def test_licences_come_from_the_module_cache(demo: Path) -> None:
    module = sbom.Module("example.com/Lib", "v2.0.0+incompatible")
    assert sbom.licences(module, demo) == []
    folder = demo / "example.com" / "!lib@v2.0.0+incompatible"
    (folder / "LICENSE.md").write_text("Permission is hereby granted, free of charge, to any\nperson obtaining a copy")
    (folder / "COPYING").write_text("Mozilla Public License Version 2.0 ... GNU Affero General Public License")
    (folder / "license_test.go").write_text("Apache License, Version 2.0")
    assert sbom.licences(module, demo) == ["MIT", "MPL-2.0"]


def test_a_module_that_is_not_in_the_cache_is_named_with_the_way_out(demo: Path) -> None:
    with pytest.raises(sbom.SbomError, match=r"example.com/x v1 is not in the module cache; run tools/programs.py"):
        sbom.licences(sbom.Module("example.com/x", "v1"), demo)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("// Permission to use, copy, modify, and/or distribute this software\n// for any purpose", "ISC"),
        ("Redistribution and use in source and binary forms ... Neither the name of", "BSD-3-Clause"),
        ("Redistribution and use in source and binary forms ... provided", "BSD-2-Clause"),
        ("   Apache License\n   Version 2.0, January 2004", "Apache-2.0"),
        ("All rights reserved.", ""),
    ],
)
def test_a_licence_is_known_by_its_words(text: str, name: str) -> None:
    assert sbom.licence(text) == name
