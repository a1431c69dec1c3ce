# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The agent that the units of an interface run, as one file: the module_utils that it needs, zipped for Python."""

from __future__ import annotations

import ast
import functools
import io
import typing as t
import zipfile
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "ansible_collections.wonder.mesh.plugins.module_utils"
SOURCES = Path(__file__).resolve().parents[1] / "module_utils"
FIRST = "_wireguard_agent"
MAIN = f"import sys\n\nfrom {PACKAGE}.{FIRST} import main\n\nsys.exit(main(sys.argv[1:]))\n"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first that a zip file can say


@functools.cache
def agent() -> bytes:
    """The same sources always give the same bytes."""
    files = {"__main__.py": MAIN}
    parts = PACKAGE.split(".")
    files |= {"/".join([*parts[:depth], "__init__.py"]): "" for depth in range(1, len(parts) + 1)}
    files |= {"/".join([*parts, f"{name}.py"]): _source(name) for name in _needed(FIRST)}
    sink = io.BytesIO()
    # Not deflated: every version of zlib does that in its own way.
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for path, text in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(path, EPOCH), text)
    return sink.getvalue()


def _source(name: str) -> str:
    return (SOURCES / f"{name}.py").read_text(encoding="utf-8")


def _needed(first: str) -> list[str]:
    """The module and all of ours that it imports."""
    found, todo = {first}, [first]
    while todo:
        for name in _imports(ast.parse(_source(todo.pop()))):
            if name not in found:
                found.add(name)
                todo.append(name)
    return sorted(found)


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
            yield str(node.module).rpartition(".")[2]
        else:
            yield from _imports(node)
