#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Build the programs into the cache: ``tools/programs.py [--arch amd64 ...]``. Needs Python and Go, and no more."""

from __future__ import annotations

import argparse
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "collections"))

from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the programs into the cache.")
    parser.add_argument("--arch", action="append", help="what Go calls the architecture; may be repeated")
    wanted = parser.parse_args(arguments).arch
    try:
        for arch in wanted or [_programs.go_arch(os.uname().machine)]:
            for name in _programs.names():
                program = _programs.find(name)
                program.build(arch, lambda line: print(line, flush=True))
                print(f"{name} {program.version} for {arch}: ready", flush=True)
    except _programs.ProgramError as exc:
        print(f"programs: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
