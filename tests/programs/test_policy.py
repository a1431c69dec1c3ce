# SPDX-License-Identifier: MIT
"""The policy, and the modules that set it, with a real Headscale as the judge."""

from __future__ import annotations

import json
import random
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.filter.headscale_nodes import headscale_nodes
from ansible_collections.wonder.mesh.plugins.filter.mesh_needs import mesh_needs
from ansible_collections.wonder.mesh.plugins.filter.mesh_policy import mesh_policy
from ansible_collections.wonder.mesh.plugins.module_utils import _headscale
from ansible_collections.wonder.mesh.plugins.modules import headscale_node, headscale_policy
from tests.programs.control import Control, running
from tests.unit.conftest import run_module
from tests.unit.plugins.plugin_utils.mesh_world import model

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Answer = dict[str, t.Any]

__all__ = ["run_module"]

GRANTS = [
    {"from": ["nas"], "to": ["laptop"], "ports": ["tcp:445", "udp:53", "tcp:9000-9010"]},
    {"from": ["tag:node"], "to": ["edge"], "ports": ["tcp:*"]},
    {"from": ["group:family"], "to": ["mini-1"], "ports": ["tcp:80"]},
]
GROUPS = {"family": ["someone@", "nobody@"]}
MESH = model(everywhere={"mesh_groups": GROUPS, "mesh_grants": GRANTS, "mesh_admins": ["laptop", "someone@"]})
POLICY, NODES, NEEDS = mesh_policy(MESH), headscale_nodes(MESH), mesh_needs(MESH)
NAMES = [each["name"] for each in NODES]
INVENTORIES = 60


class Run:
    """The tasks of the role headscale, as a run has them."""

    def __init__(self, control: Control, run: Callable[..., Answer]) -> None:
        self.control, self._run = control, run
        self._there = {"url": control.url, "binary": control.binary, "config": control.config}

    def set_policy(self, policy: Answer = POLICY, *, check: bool = False) -> Answer:
        arguments = {"policy": policy, "nodes": NODES, "needs": NEEDS}
        return self._run(headscale_policy.main, check=check, **self._there, **arguments)

    def settle(self, nodes: list[Answer] | None = None, *, check: bool = False, **arguments: t.Any) -> Answer:
        return self._run(headscale_node.main, check=check, nodes=nodes or NODES, **self._there, **arguments)

    def join(self, *names: str) -> None:
        for node in NODES:
            if node["name"] in names:
                self.control.add(node["name"], node["tags"])

    def named(self) -> set[str]:
        """All that the tests in force name."""
        tests = self.control.policy().get("tests", [])
        ends = {end.rpartition(":")[0] for test in tests for key in ("accept", "deny") for end in test.get(key, [])}
        return ends | {test["src"] for test in tests}


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    with running(tmp_path_factory.mktemp("headscale")) as control:
        yield control


@pytest.fixture
def run(control: Control, monkeypatch: pytest.MonkeyPatch, run_module: Callable[..., Answer]) -> Run:
    """A Headscale without nodes, which has our policy."""
    monkeypatch.setattr(_headscale, "KEY_FILE", str(control.place / "key" / "api_key.json"))
    control.empty()
    run = Run(control, run_module)
    done = run.set_policy()
    assert (done["failed"], done["changed"]) == (False, True), done
    return run


@pytest.fixture
def full(run: Run) -> Run:
    """One that all nodes have joined."""
    run.join(*NAMES)
    assert run.settle(policy=POLICY)["changed"]
    return run


def test_before_the_first_node_there_are_no_tests(run: Run) -> None:
    assert run.named() == set()


def test_only_tags_with_joined_nodes_are_named(run: Run) -> None:
    run.join("edge", "nas")
    assert run.settle(policy=POLICY)["failed"] is False
    assert run.named() == {"tag:node", "tag:node-edge", "tag:node-nas"}


def test_all_tests_are_in_force_once_all_nodes_are_there(full: Run) -> None:
    assert full.control.policy() == POLICY


def test_whatever_is_granted_headscale_finds_that_the_tests_hold(full: Run) -> None:
    rng = random.Random(6)  # noqa: S311 (it has to be the same in each run)
    names = ["tag:node", "tag:gateway", "tag:node-nas", "group:family", *NAMES]
    ports = ["tcp:22", "tcp:445", "tcp:8000-8010", "tcp:*", "tcp:9", "tcp:1055", "udp:53", "udp:*", "tcp:7733"]
    for _ in range(INVENTORIES):
        grants = [
            {"from": rng.sample([*names, "someone@"], 2), "to": rng.sample(names, 2), "ports": rng.sample(ports, 2)}
            for _ in range(rng.randint(0, 4))
        ]
        admins = rng.sample([*NAMES, "someone@", "group:family"], rng.randint(0, 2))
        mesh = model(everywhere={"mesh_groups": GROUPS, "mesh_grants": grants, "mesh_admins": admins})
        full.control.api("POST", "/api/v1/policy/check", {"policy": json.dumps(mesh_policy(mesh))})


def test_a_second_run_changes_nothing(full: Run) -> None:
    assert (full.set_policy()["changed"], full.settle(policy=POLICY)["changed"]) == (False, False)


def test_the_last_node_of_a_tag_takes_its_tests_along_in_the_same_call(full: Run) -> None:
    full.settle([{"name": "edge", "state": "absent"}, {"name": "nas", "state": "expired"}])
    kept = full.control.policy()
    assert full.named().isdisjoint({"tag:gateway", "tag:node-edge", "tag:node-nas"})
    assert full.control.api("PUT", "/api/v1/policy", {"policy": json.dumps(kept)})  # Headscale takes it again


def test_a_check_foretells_what_a_run_does_to_the_tests(run: Run) -> None:
    waiting = [node | {"joins": True} for node in NODES]
    foretold = run.settle(waiting, check=True, policy=POLICY)
    run.join(*NAMES)
    assert foretold["diff"] == run.settle(policy=POLICY)["diff"] != []


BETWEEN_NODES = [grant for grant in POLICY["grants"] if any(each.startswith("tag:") for each in grant["src"])]


@pytest.mark.parametrize("lost", BETWEEN_NODES, ids=lambda grant: " ".join(grant["src"] + grant["dst"]))
def test_headscale_takes_no_policy_that_lacks_a_grant_between_nodes(full: Run, lost: Answer) -> None:
    grants = [grant for grant in POLICY["grants"] if grant != lost]
    before = full.control.in_force()
    assert "the policy is refused" in full.set_policy(POLICY | {"grants": grants})["msg"]
    assert (full.control.policy(), full.control.in_force()) == (POLICY, before)


def test_a_group_reaches_what_is_granted_to_it_and_no_more(full: Run) -> None:
    full.control.add("phone", [])
    test = {"src": "someone@", "proto": "tcp", "accept": ["tag:node-mini-1:80"]}
    test["deny"] = ["tag:node-mini-1:81", "tag:node-mini-2:80", "tag:node-nas:80"]
    full.control.api("POST", "/api/v1/policy/check", {"policy": json.dumps(POLICY | {"tests": [test]})})


def test_headscale_takes_no_policy_that_opens_more(full: Run) -> None:
    opened = POLICY | {"grants": [*POLICY["grants"], {"src": ["*"], "dst": ["*"], "ip": ["*"]}]}
    assert "tag:node-edge does not reach tag:node-laptop:22 by tcp" in full.set_policy(opened)["msg"]
    assert full.control.policy() == POLICY


def test_a_policy_of_ones_own_under_which_a_gateway_loses_a_service_is_refused_in_words(full: Run) -> None:
    own = {"tagOwners": POLICY["tagOwners"], "grants": [{"src": ["tag:node"], "dst": ["tag:node"], "ip": ["tcp:22"]}]}
    done = full.set_policy(own)
    assert "gateways reach the service hello on mini-1 (tcp 8000)" in done["msg"]
    assert full.control.policy() == POLICY


@pytest.mark.parametrize("who", ["tag:node-laptop", "someone@"])
def test_a_policy_of_ones_own_under_which_an_operator_loses_ssh_is_refused_in_words(full: Run, who: str) -> None:
    full.control.add("phone", [])
    own = {"tagOwners": POLICY["tagOwners"], "grants": [{"src": ["tag:gateway"], "dst": ["*"], "ip": ["*"]}]}
    own["grants"].append(
        {"src": sorted({"tag:node-laptop", "someone@"} - {who}), "dst": ["tag:node"], "ip": ["tcp:22"]}
    )
    admin = {"tag:node-laptop": "laptop"}.get(who, who)
    assert f"{admin}, of mesh_admins, reaches SSH of nas" in full.set_policy(own)["msg"]
    assert full.control.policy() == POLICY


def test_a_policy_of_ones_own_that_takes_nothing_away_is_set(full: Run) -> None:
    own = {"grants": [{"src": ["*"], "dst": ["*"], "ip": ["*"]}]}
    assert full.set_policy(own)["failed"] is False
    assert full.control.policy() == own


def test_a_check_refuses_what_a_run_would(full: Run) -> None:
    assert "the policy is refused" in full.set_policy({"grants": []}, check=True)["msg"]
