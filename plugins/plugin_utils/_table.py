# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The result as text for people, at most 100 columns wide."""

from __future__ import annotations

import io
import typing as t
from collections import Counter

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if t.TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 100
MATRIX_NODES = 6  # a wider matrix does not fit into the width
STYLES = {True: "green", False: "bold red", None: "yellow"}
WORDS = {True: "ok", False: "FAILED", None: "not measured"}
KINDS = ("direct", "peer-relay", "relay", "hub", "unknown", "none", "not measured")


def render(result: dict[str, t.Any], colour: bool = False) -> list[str]:
    """The lines of the report; with ANSI colours if wanted, and then with the same text."""
    out = io.StringIO()
    console = Console(
        file=out, width=WIDTH, force_terminal=colour, no_color=not colour, color_system="standard" if colour else None,
        highlight=False, emoji=False,
    )  # fmt: skip
    paths = result["paths"]
    if paths:
        names = sorted({path["from"] for path in paths})
        console.print(_matrix(paths, names) if len(names) <= MATRIX_NODES else _counts(paths, names))
        console.print()
    if result["ports"] or result["services"]:
        console.print(_outside(result))
        console.print()
    for title, key in (("Granted connections", "grants"), ("Refusals", "refusals")):
        if result[key]:
            console.print(_summary(title, result[key]))
    for title, key, style in (
        ("Not measured", "not_measured", "yellow"),
        ("Warnings", "warnings", "yellow"),
        ("Problems", "problems", "bold red"),
    ):
        if result[key]:
            console.print(f"[{style}]{title}:[/]")
            for line in result[key]:
                console.print(f"  - {escape(line)}", soft_wrap=True)
    console.print(_conclusion(result))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def _matrix(paths: Sequence[dict[str, t.Any]], names: list[str]) -> Table:
    table = _table("Paths (from each row to each column, ms)", "from", *names)
    cells = {(path["from"], path["to"]): path for path in paths}
    for source in names:
        row = [_cell(cells[source, target]) if source != target else "" for target in names]
        table.add_row(escape(source), *row)
    return table


def _cell(path: dict[str, t.Any]) -> str:
    latency = "" if path["latency_ms"] is None else f" {path['latency_ms']:.0f}"
    kept = "relay" if path["observed"] == "peer-relay" else path["observed"]
    off = path["predicted"] not in ("unknown", kept) and kept not in ("none", "not measured")
    # The mark says the same as the colour, for those who do not see it.
    return f"[{STYLES[path['ok']]}]{path['observed']}{latency}{' !' if off else ''}[/]"


def _counts(paths: Sequence[dict[str, t.Any]], names: list[str]) -> Table:
    kinds = [kind for kind in KINDS if any(path["observed"] == kind for path in paths)]
    table = _table("Paths from each node", "from", *kinds, "failed")
    for source in names:
        own = [path for path in paths if path["from"] == source]
        counts = Counter(path["observed"] for path in own)
        failed = sum(path["ok"] is False for path in own)
        style = STYLES[not failed]
        table.add_row(escape(source), *(str(counts[kind]) for kind in kinds), f"[{style}]{failed}[/]")
    return table


def _outside(result: dict[str, t.Any]) -> Table:
    table = _table("Seen from outside", "what", "where", "from", "result")
    for port in result["ports"]:
        kind = "STUN" if port["protocol"] == "stun" else "TCP"
        where = f"{port['name']} ({port['address']})"
        table.add_row(f"{kind} {port['port']}", escape(where), escape(port["from"]), _word(port["ok"]))
    for service in result["services"]:
        found = service["subject"] if service["status"] is None else service["status"]
        status = "" if found is None else f" ({escape(str(found))})"
        at = f" at {service['gateway']}" if "gateway" in service else ""
        table.add_row(
            f"service {escape(service['name'])}", escape(f"{service['url']}{at}"), escape(service["from"]),
            f"{_word(service['ok'])}{status}",
        )  # fmt: skip
    return table


def _summary(title: str, entries: Sequence[dict[str, t.Any]]) -> str:
    counts = Counter(entry["ok"] for entry in entries)
    text = f"{title}: {counts[True]} of {len(entries)} as promised"
    text += f", {counts[None]} not measured" if counts[None] else ""
    text += f", {counts[False]} FAILED" if counts[False] else ""
    return f"[{STYLES[False if counts[False] else None if counts[None] else True]}]{text}[/]"


def _conclusion(result: dict[str, t.Any]) -> str:
    paths = result["paths"]
    carried = sum(path["observed"] not in ("none", "not measured") for path in paths)
    pairs = f"{carried} of {len(paths)} pairs carry traffic"
    count = len(result["problems"])
    if result["ok"]:
        return f"[bold green]The mesh keeps what the inventory promises: {pairs}.[/]"
    return f"[bold red]The mesh breaks {count} promise{'' if count == 1 else 's'}: {pairs}.[/]"


def _word(ok: bool | None) -> str:
    return f"[{STYLES[ok]}]{WORDS[ok]}[/]"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.ASCII2, header_style="bold")
    for column in columns:
        table.add_column(escape(column), overflow="fold")
    return table
