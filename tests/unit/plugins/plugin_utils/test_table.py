# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils._table import render
from ansible_collections.wonder.mesh.plugins.plugin_utils._verdict import judge
from tests.unit.plugins.plugin_utils.mesh_world import changed, measure, model


def result(strict: bool = False, **lost: t.Any) -> dict[str, t.Any]:
    mesh = model()
    return judge(mesh, measure(mesh) | lost, strict=strict)


def test_a_healthy_mesh_is_one_matrix_and_one_sentence() -> None:
    lines = render(result())
    assert "| edge   |          | relay 3 | direct 3 | direct 3 | direct 3 |" in lines
    assert "Granted connections: 6 of 6 as promised" in lines
    assert lines[-1] == "The mesh keeps what the inventory promises: 20 of 20 pairs carry traffic."


def test_problems_are_shown_in_full() -> None:
    mesh = model()
    open_policy = judge(mesh, measure(mesh, wide_open=True))
    lines = render(open_policy)
    assert all(f"  - {problem}" in lines for problem in open_policy["problems"])
    assert lines[-1] == f"The mesh breaks {len(open_policy['problems'])} promises: 20 of 20 pairs carry traffic."


def test_another_path_is_marked_without_colour_too() -> None:
    mesh = model()
    lines = render(judge(mesh, changed(measure(mesh), "edge", "peers", 1, "path", value="relay")))
    assert any("relay 3 !" in line for line in lines)


def test_many_nodes_are_counted() -> None:
    more = [f"more-{number}" for number in range(4)]
    nodes = ["edge", "mini-1", "mini-2", "nas", "laptop", *more]
    mesh = model(groups={"nodes": nodes}, hosts={name: {} for name in more})
    lines = render(judge(mesh, measure(mesh)))
    assert any(re.fullmatch(r"\| from +\| direct \| relay \| unknown \| failed \|", line) for line in lines)
    assert any(re.fullmatch(r"\| edge +\| 3 +\| 1 +\| 4 +\| 0 +\|", line) for line in lines)


@pytest.mark.parametrize("colour", [False, True])
def test_tables_fit_into_a_hundred_columns(colour: bool) -> None:
    text = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in render(result(nas=None), colour)]
    assert max(len(line) for line in text) <= 100
    assert ("\x1b" in "".join(render(result(), colour))) is colour


def test_text_from_hosts_is_no_markup() -> None:
    lines = render(result(nas={"failed": True, "msg": "[red]x[/red] [/]"}))
    assert any("[red]x[/red] [/]" in line for line in lines)
