# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Programs for hosts as one file each: some module_utils and all that they need, zipped for Python."""

from __future__ import annotations

import functools
import io
import re
import zipfile
from pathlib import Path

PACKAGE = "ansible_collections.wonder.mesh.plugins.module_utils"
SOURCES = Path(__file__).resolve().parents[1] / "module_utils"
# At the start of a line, since what is imported for types only is not there when it runs; and one module by each, as
# ruff writes them. Python's own parser would take 30 times as long, in every run.
IMPORT = re.compile(rf"^from {re.escape(PACKAGE)}(?:\.| import )(\w+)", re.MULTILINE)
AGENT = f"import sys\n\nfrom {PACKAGE}._wireguard_agent import main\n\nsys.exit(main(sys.argv[1:]))\n"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first that a zip file can say


def agent() -> bytes:
    """What the units of a WireGuard interface run."""
    return bundle(AGENT)


@functools.cache
def bundle(main: str, name: str = "__main__.py") -> bytes:
    """A zip file of a Python source by that name and what it imports of ours. The same sources give the same bytes."""
    files = {name: main}
    parts = PACKAGE.split(".")
    files |= {"/".join([*parts[:depth], "__init__.py"]): "" for depth in range(1, len(parts) + 1)}
    files |= {"/".join([*parts, f"{name}.py"]): _source(name) for name in _needed(main)}
    sink = io.BytesIO()
    # Not deflated: every version of zlib does that in its own way.
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for path, text in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(path, EPOCH), text)
    return sink.getvalue()


def _source(name: str) -> str:
    return (SOURCES / f"{name}.py").read_text(encoding="utf-8")


def _needed(main: str) -> list[str]:
    """Our modules that this source imports, and those that they do."""
    found: set[str] = set()
    todo = [main]
    while todo:
        new = set(IMPORT.findall(todo.pop())) - found
        found |= new
        todo += map(_source, sorted(new))
    return sorted(found)
