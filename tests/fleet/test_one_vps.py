# SPDX-License-Identifier: MIT
"""The README's inventory: one server that is everything at once and two boxes at home, reached as a sudo user."""

from __future__ import annotations

import itertools
import typing as t
from pathlib import Path

import pytest
import yaml
from world import read_json, run

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from world import Fleet

NODES = ["box-1", "box-2", "vps"]


def test_no_promise_is_broken(one_vps: Fleet) -> None:
    assert (one_vps.result["ok"], one_vps.result["problems"]) == (True, [])


def test_all_six_ordered_pairs_carry_bytes(one_vps: Fleet) -> None:
    carried = sorted((path["from"], path["to"]) for path in one_vps.result["paths"] if path["ok"])
    assert carried == sorted(itertools.permutations(NODES, 2))


def test_ansible_comes_as_a_user_with_sudo(one_vps: Fleet) -> None:
    assert one_vps.variables["ansible_user"] != "root"


def test_a_stranger_gets_the_page_of_a_box_at_home(one_vps: Fleet) -> None:
    page = run(one_vps.host("stranger"), "curl --silent --fail --max-time 10 https://hello.wm.test/").stdout
    assert "served by box-1" in page


def test_one_caddy_fronts_control_plane_and_services(one_vps: Fleet) -> None:
    assert run(one_vps.host("vps"), "pgrep --exact --count caddy").stdout.strip() == "1"


def test_a_second_run_changes_nothing_on_any_host(one_vps: Fleet, own_result: dict[str, str]) -> None:
    play = one_vps.play("site.yml", variables=own_result)
    assert (play.status, set(play.changed.values())) == (0, {0})


def test_the_proof_works_one_host_at_a_time(one_vps: Fleet, own_result: dict[str, str]) -> None:
    assert one_vps.play("playbooks/verify.yml", "--forks", "1", variables=own_result).status == 0


def test_without_a_stranger_the_controller_is_one(one_vps: Fleet, own_result: dict[str, str], tmp_path: Path) -> None:
    """As in the README: no stranger, the controller is somewhere on the internet, and DNS knows the public names."""
    inventory = yaml.safe_load(one_vps.inventory.read_text(encoding="utf-8"))
    del inventory["all"]["hosts"]["stranger"], inventory["all"]["children"]["strangers"]
    inventory["all"]["vars"]["mesh_dns_check"] = "strict"
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    play = one_vps.play("site.yml", variables=own_result, inventory=tmp_path / "hosts.yml", inside="stranger")
    seen = {each["from"] for each in read_json(Path(own_result["mesh_result_file"]))["services"] if each["ok"]}
    assert (play.status, seen) == (0, {"controller"})


@pytest.fixture(scope="module")
def as_it_was(one_vps: Fleet) -> Iterator[None]:
    yield
    assert one_vps.play("site.yml", "--skip-tags", "verify").status == 0


@pytest.mark.usefixtures("as_it_was")
@pytest.mark.parametrize("seconds", [5, 9, 13])
def test_a_killed_run_harms_nothing_and_the_next_one_ends_it(
    one_vps: Fleet, own_result: dict[str, str], seconds: int
) -> None:
    """Every daemon must be restarted or reloaded in this run, and it is killed while it is at it."""
    changes = {"headscale_log_level": "warn", "tailscaled_port": 41600 + seconds, "mesh_probe_port": 7734}
    one_vps.kill("site.yml", after=seconds, variables=own_result | changes)
    play = one_vps.play("site.yml", variables=own_result | changes)
    assert play.status == 0
