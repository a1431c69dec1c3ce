#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write docs/variables.md: all that an inventory may say, from the roles' argument specs and from _variables.py."""

from __future__ import annotations

import json
import pathlib
import re
import sys
import typing as t

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.wonder.mesh.plugins.plugin_utils._variables import VARIABLES

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PAGE = ROOT / "docs" / "variables.md"
ROLES = ("headscale", "caddy", "tailscaled", "derper", "wireguard", "probe", "verify")
HEAD = ("variable", "type", "default", "meaning")
INTRODUCTION = """\
# Variables

<!-- Made by tools/variables.py, and a test compares it: change the sources, not this page. -->

A mistake in any of them ends a run before the first change, and the run says which host and variable it is, what was
found, and what to do. A name that is nearly one of these is refused as a misspelling.

## Groups

A host may be in several: one VPS is often coordinator, gateway and node.
"""
GROUPS = {
    "coordinator": "exactly one host, which runs Headscale; none with plain WireGuard",
    "gateways": "public hosts that take traffic from the internet to services; they are nodes too",
    "relays": "public hosts that relay what finds no direct path; they are nodes too. With one, better two, the mesh "
    "outlives its coordinator; without any, the coordinator relays",
    "nodes": "every member of the mesh",
    "strangers": "machines of the internet that are not ours, from which the proof looks at the mesh; if there is "
    "none, the controller is one",
}
MESH = """
## The mesh

These say what the mesh is. Where it says *all*, the whole inventory has one value; set it under `all: vars:`.
"""
# C(code), V(value), O(option), RV(return), M(module) and P(plugin#type), the last four by name.
MARKUP = re.compile(r"\b(?:[CV]\(([^)]*)\)|(?:O|RV|M)\(([^)#]*#module:)?([^)]*)\)|P\(([^)#]*)#[a-z]*\))")


def main() -> int:
    PAGE.write_text(page(), encoding="utf-8")
    print(f"variables: wrote {PAGE.relative_to(ROOT)}")
    return 0


def page() -> str:
    """The whole page."""
    groups = _table(((f"`{name}`", meaning) for name, meaning in GROUPS.items()), ("group", "who is in it"))
    return "\n".join([INTRODUCTION, *groups, MESH, *_table(_mesh(), ("where", *HEAD)), *map(_role, ROLES), ""])


def _mesh() -> Iterator[tuple[str, ...]]:
    for name, each in VARIABLES.items():
        default = "**required**" if each.required else _default(each.default)
        meaning = _sentences(each.description, each.choices)
        yield "all" if each.for_all else "host", f"`{name}`", each.type, default, meaning


def _role(name: str) -> str:
    text = (ROOT / "roles" / name / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    spec = yaml.safe_load(text)["argument_specs"]["main"]
    about = " ".join(_plain(line) for line in spec["description"])
    head = f"\n## The role {name}\n\n{spec['short_description']}. {about}\n"
    return "\n".join([head, *_table(_options(spec), HEAD)])


def _options(spec: Mapping[str, t.Any], above: str = "") -> Iterator[tuple[str, ...]]:
    """A row for each option, and for each key of its elements."""
    for name, option in spec.get("options", {}).items():
        kind = option["type"] + (f" of {option['elements']}" if "elements" in option else "")
        default = "**required**" if option.get("required") else ""
        if "default" in option:
            value = option["default"]
            default = f"`{value if value and isinstance(value, str) else json.dumps(value)}`"
        described = option["description"]
        meaning = described if isinstance(described, str) else " ".join(described)
        yield f"`{above}{name}`", kind, default, _sentences(meaning, option.get("choices", ()))
        yield from _options(option, f"{above}{name}[].")


def _default(text: str) -> str:
    return _plain(text) if "(" in text else f"`{text}`" if text else ""


def _sentences(description: str, choices: Iterable[str]) -> str:
    known = ", ".join(f"`{choice}`" for choice in choices)
    return _plain(description) + (f" One of {known}." if known else "")


def _plain(text: str) -> str:
    """A description in Markdown, on one line."""
    return MARKUP.sub(lambda found: f"`{''.join(filter(None, found.group(1, 3, 4)))}`", " ".join(text.split()))


def _table(rows: Iterable[tuple[str, ...]], head: tuple[str, ...]) -> list[str]:
    lines = [head, ("---",) * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


if __name__ == "__main__":
    sys.exit(main())
