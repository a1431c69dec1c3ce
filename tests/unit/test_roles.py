# SPDX-License-Identifier: MIT
"""Roles are content with their own defaults: Ansible checks those, too."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

ROLES = sorted((Path(__file__).parents[2] / "roles").iterdir())


def of(role: Path, name: str) -> dict[str, t.Any]:
    path = role / name
    found: dict[str, t.Any] = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found or {}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_takes_its_own_defaults(role: Path) -> None:
    literal = {name: each for name, each in of(role, "defaults/main.yml").items() if "{{" not in str(each)}
    specs = of(role, "meta/argument_specs.yml").get("argument_specs", {})
    for spec in specs.values():
        options = {name: option for name, option in (spec.get("options") or {}).items() if name in literal}
        given = {name: literal[name] for name in options}
        assert ArgumentSpecValidator(options).validate(given).error_messages == []
