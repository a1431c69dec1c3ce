# SPDX-License-Identifier: MIT

from __future__ import annotations

import socket
import time
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.action import mesh_model
from tests.unit.plugins.action.playbook import inventory, play, saved, saving
from tests.unit.plugins.plugin_utils.mesh_world import EVERYWHERE, GROUPS, HOSTS, model

if t.TYPE_CHECKING:
    from pathlib import Path

TASK: dict[str, t.Any] = {"name": "Model", "wonder.mesh.mesh_model": None, "register": "mesh", "run_once": True}
SAVE = saving("{{ mesh }}")
WARN = {**EVERYWHERE, "mesh_dns_check": "warn"}


@pytest.mark.parametrize("arguments", [(), ("--check",), ("--limit", "nas")])
def test_the_whole_inventory_becomes_the_model(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    hosts = {name: dict(variables) for name, variables in HOSTS.items()}
    hosts["nas"]["mesh_nat"] = "{{ kind_of_nat }}"
    hosts["nas"]["kind_of_nat"] = "hard"
    hosts["nas"]["broken"] = "{{ nothing_of_that_name }}"
    run = play(tmp_path, inventory(hosts, GROUPS, WARN), [TASK, SAVE], *arguments)
    assert run.returncode == 0, run.stdout + run.stderr
    found = saved(tmp_path / "out.json")
    assert found["model"] == model()
    assert found["changed"] is False
    assert found["ansible_facts"] == {"mesh": found["model"]}


def test_all_mistakes_come_with_host_and_fix_and_no_trace(tmp_path: Path) -> None:
    hosts = {name: dict(variables) for name, variables in HOSTS.items()}
    hosts["nas"]["mesh_nat"] = "{{ nothing_of_that_name }}"
    hosts["laptop"]["mesh_nat"] = "esay"
    run = play(tmp_path, inventory(hosts, GROUPS, WARN), [TASK])
    assert run.returncode == 2
    assert "The inventory has 2 mistakes; nothing was changed:" in run.stdout
    assert 'laptop: mesh_nat: found "esay": there is no such kind. Use public' in run.stdout
    assert "nas: mesh_nat: found a value that cannot be had" in run.stdout
    assert "Traceback" not in run.stdout + run.stderr


def test_a_missing_certificate_is_named(tmp_path: Path) -> None:
    hosts = {name: dict(variables) for name, variables in HOSTS.items()}
    hosts["edge"]["caddy_certificates"] = [{"certificate": "no.pem", "key": "no.key"}]
    run = play(tmp_path, inventory(hosts, GROUPS, WARN), [TASK])
    assert 'caddy_certificates[0].key: found "no.key": the file cannot be read: No such file' in run.stdout


def test_a_device_without_end_is_no_certificate(tmp_path: Path) -> None:
    hosts = {name: dict(variables) for name, variables in HOSTS.items()}
    hosts["edge"]["caddy_certificates"] = [{"certificate": "/dev/zero", "key": "/dev/zero"}]
    run = play(tmp_path, inventory(hosts, GROUPS, WARN), [TASK])
    assert 'caddy_certificates[0].key: found "/dev/zero": the file cannot be read: it is no file' in run.stdout


def test_a_place_that_the_result_cannot_have_is_named(tmp_path: Path) -> None:
    everywhere = {**WARN, "mesh_result_file": str(tmp_path / "no" / "result.json")}
    run = play(tmp_path, inventory(HOSTS, GROUPS, everywhere), [TASK])
    assert f"there is no directory {tmp_path}/no. Name a file" in " ".join(run.stdout.split())


def test_a_variable_that_needs_facts_of_the_run_is_left_to_its_role(tmp_path: Path) -> None:
    hosts = {name: dict(variables) for name, variables in HOSTS.items()}
    hosts["hub"]["headscale_policy"] = "{{ ansible_facts['mesh'] | wonder.mesh.mesh_policy | combine({'ssh': []}) }}"
    run = play(tmp_path, inventory(hosts, GROUPS, WARN), [TASK])
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_variable_that_needs_what_nobody_has_is_a_mistake(tmp_path: Path) -> None:
    hosts = {name: dict(variables) for name, variables in HOSTS.items()}
    hosts["hub"]["headscale_log_level"] = "{{ levle }}"
    run = play(tmp_path, inventory(hosts, GROUPS, WARN), [TASK])
    assert "hub: headscale_log_level: found a value that cannot be had: its template fails: 'levle'" in run.stdout


def test_a_removal_needs_neither_certificates_nor_names(tmp_path: Path) -> None:
    hosts = {name: dict(variables) for name, variables in HOSTS.items()}
    hosts["edge"]["caddy_certificates"] = [{"certificate": "no.pem", "key": "no.key"}]
    strict = {**EVERYWHERE, "mesh_dns_check": "strict"}
    run = play(tmp_path, inventory(hosts, GROUPS, strict), [{**TASK, "wonder.mesh.mesh_model": {"outside": False}}])
    assert run.returncode == 0, run.stdout + run.stderr
    assert "[WARNING]: Seen from" not in run.stdout + run.stderr


def test_a_name_that_does_not_answer_costs_limited_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(name: str, *_: t.Any, **__: t.Any) -> list[t.Any]:
        if name == "slow.example.com":
            time.sleep(1.0)
        if name == "no.example.com":
            raise socket.gaierror(-2, "Name or service not known")
        return [(0, 0, 0, "", ("203.0.113.7", 443)), (0, 0, 0, "", ("203.0.113.7", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    names = ["hub.example.com", "no.example.com", "slow.example.com"]
    began = time.monotonic()
    assert mesh_model.resolve(names, timeout=0.2) == {
        "hub.example.com": ["203.0.113.7"],
        "no.example.com": [],
        "slow.example.com": [],
    }
    assert time.monotonic() - began < 0.9
