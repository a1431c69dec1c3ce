# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Collects the entries of a result and what is wrong with them."""

from __future__ import annotations

import typing as t

SCHEMA = 1
LISTS = ("paths", "services", "refusals", "grants", "ports")


class Report:
    """The result in the making: every broken promise is an entry with ok false and a problem that says so."""

    def __init__(self) -> None:
        self._lists: dict[str, list[dict[str, t.Any]]] = {name: [] for name in LISTS}
        # The keys are the lines, each once and in the order in which they came.
        self._problems: dict[str, None] = {}
        self._warnings: dict[str, None] = {}
        self._not_measured: dict[str, None] = {}

    def add(self, name: str, entry: dict[str, t.Any]) -> None:
        self._lists[name].append(entry)

    def problem(self, text: str) -> None:
        self._problems[text] = None

    def warning(self, text: str) -> None:
        self._warnings[text] = None

    def not_measured(self, text: str) -> None:
        self._not_measured[text] = None

    def result(self, nodes: list[dict[str, t.Any]]) -> dict[str, t.Any]:
        """As in docs/result.schema.json."""
        return {
            "schema": SCHEMA,
            "ok": not self._problems,
            "nodes": nodes,
            **self._lists,
            "not_measured": list(self._not_measured),
            "problems": list(self._problems),
            "warnings": list(self._warnings),
        }


def join(names: list[str]) -> str:
    """a, b and c"""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
