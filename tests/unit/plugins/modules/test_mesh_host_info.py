# SPDX-License-Identifier: MIT
"""``mesh_host_info``: what one look at a host tells, and what it leaves out."""

from __future__ import annotations

import json
import platform
import time
import typing as t

import pytest
from ansible.module_utils import basic

from ansible_collections.wonder.mesh.plugins.module_utils import _host_info
from ansible_collections.wonder.mesh.plugins.modules import headscale_policy, mesh_host_info
from tests.unit.plugins.modules.test_headscale import POLICY, call, headscale, key_file
from tests.unit.plugins.modules.test_tailscale_node import PUBLIC, SERVER, Tailscaled, converged, keep

if t.TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.plugins.modules.headscale_server import Headscale

    Run = t.Callable[..., dict[str, t.Any]]

__all__ = ["call", "headscale", "key_file"]


def look(run_module: Run) -> dict[str, t.Any]:
    return run_module(mesh_host_info.main)


@pytest.fixture
def socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where tailscaled would listen."""
    path = tmp_path / "tailscaled.sock"
    defaults = {"binary": "tailscale", "socket": str(path), "state_directory": str(tmp_path)}
    monkeypatch.setattr(_host_info, "NODE", {name: {"default": value} for name, value in defaults.items()})
    return path


@pytest.fixture
def coordinator(headscale: Headscale, monkeypatch: pytest.MonkeyPatch, socket: Path) -> Headscale:
    options = {"url": f"http://127.0.0.1:{headscale.port}", "binary": "headscale", "config": "c"}
    monkeypatch.setattr(_host_info, "CONNECTION", {name: {"default": value} for name, value in options.items()})
    assert not socket.exists()
    return headscale


@pytest.fixture
def tailscaled(socket: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> Tailscaled:
    socket.touch()
    tailscaled = Tailscaled()
    monkeypatch.setattr(basic.AnsibleModule, "run_command", lambda _self, args, **_: tailscaled.run_command(args))
    assert not key_file.exists()
    return tailscaled


def test_a_bare_host_has_nothing_to_tell(run_module: Run, socket: Path, key_file: Path) -> None:
    seen = look(run_module)
    assert not socket.exists()
    assert not key_file.exists()
    assert {name: seen[name] for name in ("changed", "machine", "daemons", "node", "headscale")} == {
        "changed": False,
        "machine": platform.machine(),
        "daemons": {},
        "node": {},
        "headscale": {},
    }


def test_a_node_tells_its_state_and_the_preferences_that_are_ours(
    run_module: Run, tailscaled: Tailscaled, tmp_path: Path
) -> None:
    converged(tailscaled)
    tailscaled.relay = "r901"
    keep(tmp_path)
    tailscaled.preferences["Config"] = {"PrivateNodeKey": "privkey:secret"}
    node = look(run_module)["node"]
    assert node["status"] == {
        "BackendState": "Running",
        "HaveNodeKey": True,
        "TailscaleIPs": ["100.64.0.1", "fd7a::1"],
        "Self": {"PublicKey": PUBLIC, "Relay": "r901"},
    }
    assert node["home"] == {"region": "901", "regions": {"901": "r901", "902": "r902"}}
    assert (node["preferences"]["Hostname"], node["preferences"]["ControlURL"]) == ("mini-1", SERVER)
    assert "secret" not in json.dumps(node)


@pytest.mark.parametrize("verb", ["status", "debug"])
def test_a_tailscaled_that_does_not_answer_is_left_out(run_module: Run, tailscaled: Tailscaled, verb: str) -> None:
    converged(tailscaled)
    tailscaled.fails[verb] = (124, "")
    assert look(run_module)["node"] == {}


def test_a_coordinator_tells_its_policy_and_nodes_and_only_reads(
    run_module: Run, call: Run, coordinator: Headscale
) -> None:
    call(headscale_policy, policy=POLICY)
    coordinator.node("mini-1")
    coordinator.requests.clear()
    seen = look(run_module)["headscale"]
    assert (seen["policy"], [each["givenName"] for each in seen["nodes"]]) == (POLICY, ["mini-1"])
    assert [method for method, _path, _body in coordinator.requests] == ["GET", "GET"]


def test_a_coordinator_whose_key_must_be_renewed_is_left_to_those_who_may(
    run_module: Run, call: Run, coordinator: Headscale, key_file: Path
) -> None:
    call(headscale_policy, policy=POLICY)
    kept = json.loads(key_file.read_text())
    key_file.write_text(json.dumps(kept | {"expires": time.time() + 29 * 24 * 60 * 60}))
    assert look(run_module)["headscale"] == {}


@pytest.mark.parametrize("kept", ["", "{", "[]", '{"key": "x"}', '{"expires": 1}'])
def test_a_damaged_key_file_is_left_to_those_who_may(
    run_module: Run, coordinator: Headscale, key_file: Path, kept: str
) -> None:
    key_file.parent.mkdir(parents=True)
    key_file.write_text(kept)
    assert (look(run_module)["headscale"], coordinator.requests) == ({}, [])


def test_a_headscale_that_does_not_know_the_key_is_left_out(
    run_module: Run, call: Run, coordinator: Headscale, key_file: Path
) -> None:
    call(headscale_policy, policy=POLICY)
    kept = json.loads(key_file.read_text())
    key_file.write_text(json.dumps(kept | {"key": "another"}))
    assert look(run_module)["headscale"] == {}
