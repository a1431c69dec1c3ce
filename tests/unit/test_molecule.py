# SPDX-License-Identifier: MIT
"""Every role has a scenario, and a scenario is as short as docs/molecule.md says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from fleet import lima, topology

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "molecule"
SCENARIOS = sorted(path.name for path in PLACE.iterdir() if path.name != "default")
PAGE = (ROOT / "docs" / "molecule.md").read_text(encoding="utf-8")
FEW = 30  # lines


@pytest.mark.parametrize("role", sorted(path.name for path in (ROOT / "roles").iterdir()))
def test_a_role_has_a_scenario(role: str) -> None:
    assert role in SCENARIOS


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_converges_does_harm_and_verifies(name: str) -> None:
    wanted = {"molecule.yml", "converge.yml", "side_effect.yml", f"tests/test_{name}.py"}
    assert {path for path in wanted if not (PLACE / name / path).is_file()} == set()


def test_the_page_names_every_scenario() -> None:
    assert sorted(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == SCENARIOS


def test_a_scenario_for_a_role_with_hosts_of_its_own_takes_few_lines() -> None:
    """The page shows this one to contributors, with its length."""
    files = [path for path in (PLACE / "derper").rglob("*") if path.suffix in (".yml", ".py")]
    length = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)
    assert length < FEW
    assert f"`molecule/derper/` is one, of {length} lines in all" in PAGE


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "fleet" / "topologies").glob("molecule*.yml")))
def test_virtual_machines_can_be_the_fleet_of_a_scenario(name: str) -> None:
    """They are one home, where one logs in as ops."""
    lima.check_topology(topology.load(name, lima.NAT_KINDS))


@pytest.mark.parametrize("name", SCENARIOS)
def test_harm_is_done_as_root_whoever_logs_in(name: str) -> None:
    plays = yaml.safe_load((PLACE / name / "side_effect.yml").read_text(encoding="utf-8"))
    assert [play.get("become") for play in plays if "hosts" in play] == [True] * sum("hosts" in play for play in plays)
