# SPDX-License-Identifier: MIT
"""What a play said, task by task, and how two plays are compared."""

from __future__ import annotations

import dataclasses
import difflib
import json
import typing as t

if t.TYPE_CHECKING:
    from pathlib import Path

    from tests.fault.drifts import Drift

WIDTH = 400  # of a line that tells a difference
Place = tuple[str, str]  # (host, task)
Headers = dict[Place, set[str]]


@dataclasses.dataclass(frozen=True)
class Events:
    """The last word of each task on each host."""

    said: dict[Place, dict[str, t.Any]]

    @classmethod
    def load(cls, path: Path) -> Events:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
        return cls({(line["host"], line["task"]): line for line in lines})

    def failures(self) -> list[str]:
        return [
            f"{host}: {task}: {line['message']}"
            for (host, task), line in sorted(self.said.items())
            if line["outcome"] != "ok"
        ]

    def diffs(self) -> dict[Place, str]:
        """The diff of each task that says of itself that it changed (or would change) something, in one text each."""
        return {place: _text(line) for place, line in sorted(self.said.items()) if _changed(line) or _parts(line)}

    def headers(self) -> Headers:
        """What each task that changed something names."""
        return {
            place: {part["after_header"] for part in _parts(line)}
            for place, line in self.said.items()
            if _changed(line)
        }


def untrue(foretold: Events, done: Events) -> list[str]:
    """Where the diff of a check is not that of the run, byte for byte."""
    before, after = foretold.diffs(), done.diffs()
    return [
        f"{': '.join(place)}:\n" + "\n".join(_apart(before.get(place, ""), after.get(place, "")))
        for place in sorted(before.keys() | after.keys())
        if before.get(place) != after.get(place)
    ]


def _apart(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "foretold", "done", lineterm="", n=1)
    return [line[:WIDTH] for line in lines]


def astray(drifts: list[Drift], touched: Headers) -> list[str]:
    """What a run touched that had not drifted, and what had and it left."""
    must: Headers = {}
    may: Headers = {}
    for each in drifts:
        must.setdefault((each.host, each.task), set()).update(each.must)
        may.setdefault((each.host, each.task), set()).update(each.must | each.may)
    wrong = []
    for host, task in sorted(must.keys() | touched.keys()):
        named = touched.get((host, task), set())
        wrong += [f"{host}: {task}: touched {each}" for each in sorted(named - may.get((host, task), set()))]
        wrong += [f"{host}: {task}: left {each}" for each in sorted(must.get((host, task), set()) - named)]
    return wrong


def _changed(line: dict[str, t.Any]) -> bool:
    return bool(line["said"].get("changed"))


def _parts(line: dict[str, t.Any]) -> list[dict[str, str]]:
    """The parts of a task's diff that show something."""
    diff = line["said"].get("diff") or []
    parts = diff if isinstance(diff, list) else [diff]
    return [part for part in parts if part.get("before") != part.get("after")]


def _text(line: dict[str, t.Any]) -> str:
    said = {key: line["said"].get(key) for key in ("changed", "restarted", "reloaded")}
    return json.dumps(said | {"d": _parts(line)}, indent=1, sort_keys=True)
