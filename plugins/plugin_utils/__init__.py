# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""What the controller's plugins share.

Ansible compiles what it imports of a collection in every run, which for our modules is a tenth of a second. With this
they are found as any other Python module, whose compiled code lies beside it in ``__pycache__``.
"""

from __future__ import annotations

import importlib.util
import pathlib
import sys
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec

PLUGINS = __name__.rpartition(".")[0]
PLACES = {f"{PLUGINS}.{name}": pathlib.Path(__file__).parents[1] / name for name in ("module_utils", "plugin_utils")}


class Finder:
    """Finds the modules of these two packages, and nothing else."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        package, _, module = name.rpartition(".")
        file = PLACES[package] / f"{module}.py" if package in PLACES else None
        return importlib.util.spec_from_file_location(name, file) if file and file.is_file() else None


sys.meta_path.insert(0, t.cast("t.Any", Finder))
