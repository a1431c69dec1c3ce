# SPDX-License-Identifier: MIT
"""docs/variables.md says what the argument specs and the checks of the inventory know."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils._types import GROUPS
from ansible_collections.wonder.mesh.plugins.plugin_utils._variables import VARIABLES
from tests.unit.plugins.plugin_utils.mesh_world import build
from tools import variables

ROOT = Path(__file__).resolve().parents[3]
PAGE = variables.PAGE.read_text(encoding="utf-8")
CHOICES = [(name, each.choices) for name, each in VARIABLES.items() if each.choices]


def test_the_page_is_what_the_sources_say() -> None:
    """If this fails, run tools/variables.py."""
    assert variables.page() == PAGE


def test_the_page_has_all_groups() -> None:
    assert tuple(variables.GROUPS) == GROUPS


def test_the_page_has_the_variables_of_all_roles() -> None:
    roles = {path.name for path in (ROOT / "roles").iterdir()} - {"mesh"}
    assert set(variables.ROLES) == roles


def test_no_markup_is_left() -> None:
    assert re.findall(r"\b[A-Z]{1,2}\([^)]*\)", PAGE) == []


def test_the_readme_names_no_variable_that_is_not_there() -> None:
    known = set(re.findall(r"^\| (?:all \| |host \| )?`(\w+)`", PAGE, re.MULTILINE))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:mesh|headscale|caddy|tailscaled|probe|verify)_[a-z_0-9]+", readme))
    assert named - known == set()


@pytest.mark.parametrize(("name", "choices"), CHOICES)
def test_the_checks_take_these_choices_and_no_other(name: str, choices: tuple[str, ...]) -> None:
    def refused(value: t.Any) -> bool:
        outcome = build(everywhere={name: value}) if VARIABLES[name].for_all else build(hosts={"nas": {name: value}})
        return any(name in line for line in outcome.problems)

    assert [value for value in (*choices, "no-choice") if refused(value)] == ["no-choice"]
