# SPDX-License-Identifier: MIT
"""Who logs in where tailscaled answers SSH, by the policy that the inventory gives, with real programs."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
import types
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.filter.headscale_nodes import headscale_nodes
from ansible_collections.wonder.mesh.plugins.filter.mesh_needs import mesh_needs
from ansible_collections.wonder.mesh.plugins.filter.mesh_policy import mesh_policy
from ansible_collections.wonder.mesh.plugins.module_utils import _headscale
from ansible_collections.wonder.mesh.plugins.modules import headscale_policy
from ansible_collections.wonder.mesh.plugins.modules.headscale_join_key import mint
from tests.programs.control import Control, running
from tests.programs.people import Device, device
from tests.unit.conftest import run_module
from tests.unit.plugins.plugin_utils.mesh_world import model

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["run_module"]

ON = {"hosts": {"nas": {"tailscaled_ssh": True}}}
ADMINS = ["laptop", "mini-1"]
MESH = model(**ON, everywhere={"mesh_admins": ADMINS})
FEWER = model(**ON, everywhere={"mesh_admins": ["mini-1"]})
OFF = model(everywhere={"mesh_admins": ADMINS})  # nas still answers, since no run has come to it
HEARD = 30  # seconds


class Mesh(t.NamedTuple):
    control: Control
    devices: dict[str, Device]

    def has(self, mesh: t.Any) -> None:
        """Give Headscale the policy of an inventory, as far as its tests can be run."""
        policy = {key: value for key, value in mesh_policy(mesh).items() if key not in ("tests", "sshTests")}
        self.control.api("PUT", "/api/v1/policy", {"policy": json.dumps(policy)})

    def logs_in(self, source: str, user: str = "root") -> bool:
        """Whether a command runs on nas as this user."""
        proxy = f"ProxyCommand={self.devices[source].command('nc', '%h', '%p')}"
        known = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]
        address = self.devices["nas"].status()["Self"]["TailscaleIPs"][0]
        command = ["ssh", "-F", "none", "-o", proxy, *known, "-o", "ConnectTimeout=5", f"{user}@{address}", "id -un"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        print(source, user, done.returncode, done.stdout, done.stderr)
        return (done.returncode, done.stdout.strip()) == (0, user)

    def comes_to(self, wanted: dict[str, bool]) -> bool:
        """Whether just these log in, soon."""
        until = time.monotonic() + HEARD
        while {source: self.logs_in(source) for source in wanted} != wanted:
            if time.monotonic() > until:
                return False
        return True


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    if os.getuid() != 0:
        pytest.fail("tailscaled lets others in only as root")
    with running(tmp_path_factory.mktemp("headscale")) as control:
        found = Mesh(control, {})
        found.has(MESH)
        asked = t.cast("t.Any", types.SimpleNamespace(call=control.api))
        with contextlib.ExitStack() as stack:
            for name in ("nas", "laptop", "mini-1", "edge"):
                found.devices[name] = stack.enter_context(device(tmp_path_factory.mktemp(name), control))
                found.devices[name].join(name, mint(asked, MESH["hosts"][name]["tags"])["key"])
            found.devices["nas"].set("--ssh")
            yield found


def test_admins_log_in_as_any_user_and_others_do_not(mesh: Mesh) -> None:
    mesh.has(MESH)
    assert mesh.comes_to({"laptop": True, "mini-1": True, "edge": False})


def test_who_is_no_admin_any_more_is_refused(mesh: Mesh) -> None:
    mesh.has(MESH)
    assert mesh.comes_to({"laptop": True, "mini-1": True})
    mesh.has(FEWER)
    assert mesh.comes_to({"laptop": False, "mini-1": True})


def test_nobody_is_let_in_any_more_when_no_node_is_to_answer(mesh: Mesh) -> None:
    mesh.has(MESH)
    assert mesh.comes_to({"laptop": True})
    mesh.has(OFF)
    assert mesh.comes_to({"laptop": False, "mini-1": False})


@pytest.fixture
def put(mesh: Mesh, monkeypatch: pytest.MonkeyPatch, run_module: Callable[..., dict[str, t.Any]]) -> t.Any:
    """The role's task that sets a policy."""
    monkeypatch.setattr(_headscale, "KEY_FILE", str(mesh.control.place / "key" / "api_key.json"))
    there = {"url": mesh.control.url, "binary": mesh.control.binary, "config": mesh.control.config}
    wanted = {"nodes": headscale_nodes(MESH), "needs": mesh_needs(MESH)}
    return lambda policy: run_module(headscale_policy.main, policy=policy, **there, **wanted)


def test_headscale_finds_that_the_tests_of_logins_hold(mesh: Mesh, put: t.Any) -> None:
    done = put(mesh_policy(MESH))
    assert not done["failed"], done
    assert mesh.control.policy()["sshTests"] == [
        {"src": f"tag:node-{source}", "dst": ["tag:node-nas"], verdict: ["root"]}
        for source, verdict in (("edge", "deny"), ("laptop", "accept"), ("mini-1", "accept"))
    ]


@pytest.mark.parametrize("kept", [("tagOwners", "grants"), ("grants",)])
def test_a_policy_of_ones_own_under_which_an_admin_does_not_log_in_is_refused_in_words(
    mesh: Mesh, put: t.Any, kept: tuple[str, ...]
) -> None:
    mesh.has(MESH)
    own = {key: mesh_policy(MESH)[key] for key in kept} | {"grants": [{"src": ["*"], "dst": ["*"], "ip": ["*"]}]}
    assert "tag:node-laptop/root reaches nas by SSH" in put(own)["msg"]
    assert mesh.control.policy()["ssh"] == mesh_policy(MESH)["ssh"]
