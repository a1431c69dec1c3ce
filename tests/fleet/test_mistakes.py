# SPDX-License-Identifier: MIT
"""What goes wrong is noticed, named, and does no harm."""

from __future__ import annotations

import hashlib
import json
import typing as t
from pathlib import Path

import pytest
from world import read_json, run

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from world import Fleet, Play

OPEN_POLICY = {"grants": [{"src": ["*"], "dst": ["*"], "ip": ["*"]}]}


@pytest.fixture
def open_policy(demo: Fleet, own_result: dict[str, str]) -> Iterator[None]:
    """Meanwhile the control plane lets everybody reach everything; then it has the policy of the inventory again."""
    steps = [
        f"printf %s '{json.dumps(OPEN_POLICY)}' >/tmp/open.json",
        "timeout 30 headscale policy set --file /tmp/open.json",
        "rm /tmp/open.json",
    ]
    assert run(demo.host("hub"), " && ".join(steps)).rc == 0
    yield
    assert demo.play("playbooks/check.yml", "playbooks/coordinator.yml", variables=own_result).changed["hub"] == 1


@pytest.mark.usefixtures("open_policy")
def test_an_open_policy_breaks_a_promise_of_refusal(demo: Fleet, own_result: dict[str, str]) -> None:
    play = demo.play("playbooks/verify.yml", variables=own_result)
    broken = [each for each in read_json(Path(own_result["mesh_result_file"]))["refusals"] if each["ok"] is False]
    assert (play.status == 0, broken == []) == (False, False)


def caddy(server: dict[str, t.Any]) -> dict[str, t.Any]:
    """Variables that give Caddy this one server and nothing else."""
    admin = {"listen": "unix//run/caddy/admin.sock"}
    return {"caddy_configuration": {"admin": admin, "apps": {"http": {"servers": {"x": server}}}}}


# A program that says no to everything.
NONE = {"file": "/bin/false", "sha256": hashlib.sha256(Path("/bin/false").read_bytes()).hexdigest()}
# What a daemon refuses: when its new configuration is checked, or only when it loads it.
REFUSED = [
    ("playbooks/coordinator.yml", {"headscale_program_source": {"amd64": {"headscale": NONE}}}, "headscale", "hub"),
    ("playbooks/gateways.yml", caddy({"oops": 1}), "caddy", "edge"),
    ("playbooks/gateways.yml", caddy({"listen": ["203.0.113.250:443"]}), "caddy", "edge"),
]


@pytest.mark.parametrize(("playbook", "variables", "unit", "name"), REFUSED)
def test_a_refused_configuration_leaves_the_old_one_running(
    demo: Fleet, playbook: str, variables: dict[str, t.Any], unit: str, name: str
) -> None:
    state = f"systemctl show --property=MainPID,ActiveState {unit}.service; cat /etc/{unit}/* 2>/dev/null | sha256sum"
    before = run(demo.host(name), state).stdout
    play = demo.play("playbooks/check.yml", playbook, "--limit", name, variables=variables)
    assert "runs with it" in play.output or "is as it was" in play.output
    assert (play.status, run(demo.host(name), state).stdout) == (2, before)


def test_the_gateway_still_serves_after_a_refusal(demo: Fleet) -> None:
    assert run(demo.host("stranger"), "curl --silent --fail --max-time 10 https://hello.wm.test/").rc == 0


def test_a_policy_that_locks_out_is_refused_before_anything_is_changed(demo: Fleet) -> None:
    state = "cat /etc/headscale/config.yaml; timeout 20 headscale policy get"
    before = run(demo.host("hub"), state).stdout
    variables = {"headscale_policy": {"grants": []}, "headscale_log_level": "debug"}
    play = demo.play("playbooks/check.yml", "playbooks/coordinator.yml", variables=variables)
    assert "laptop, of mesh_admins, reaches SSH of" in play.output
    assert (play.status, run(demo.host("hub"), state).stdout) == (2, before)


@pytest.fixture(scope="module")
def without_nas(demo: Fleet, tmp_path_factory: pytest.TempPathFactory) -> tuple[Play, dict[str, t.Any]]:
    """A proof during which nobody reaches nas by SSH."""
    folder = tmp_path_factory.mktemp("without_nas")
    (folder / "hosts.yml").write_text("all: {hosts: {nas: {ansible_host: nowhere}}}\n")
    result = folder / "result.json"
    arguments = ("--inventory", str(folder / "hosts.yml"))
    play = demo.play("playbooks/verify.yml", *arguments, variables={"mesh_result_file": str(result)})
    return play, read_json(result)


def test_an_unreachable_host_fails_the_run(without_nas: tuple[Play, dict[str, t.Any]]) -> None:
    play, result = without_nas
    assert (play.status == 0, result["ok"]) == (False, False)


def test_an_unreachable_host_is_named(without_nas: tuple[Play, dict[str, t.Any]]) -> None:
    assert [each for each in without_nas[1]["problems"] if not each.startswith("nas was not measured")] == []


def test_the_pairs_of_an_unreachable_host_are_not_measured(without_nas: tuple[Play, dict[str, t.Any]]) -> None:
    pairs = [path for path in without_nas[1]["paths"] if "nas" in (path["from"], path["to"])]
    assert {(path["observed"], path["ok"]) for path in pairs} == {("not measured", None)}


def test_the_pairs_of_the_other_hosts_are_measured(without_nas: tuple[Play, dict[str, t.Any]]) -> None:
    pairs = [path for path in without_nas[1]["paths"] if "nas" not in (path["from"], path["to"])]
    assert (len(pairs), {path["ok"] for path in pairs}) == (12, {True})


def test_a_mistake_in_the_inventory_ends_the_run_before_it_reaches_a_host(demo: Fleet, tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: {children: {coordinator: {hosts: {edge: {}}}}}\n")
    play = demo.play("site.yml", "--inventory", str(tmp_path / "hosts.yml"))
    assert 'group coordinator: hosts: found ["hub", "edge"]' in play.output
    assert (play.status, set(play.changed.values())) == (2, {0})
