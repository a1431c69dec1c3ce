# SPDX-License-Identifier: MIT
"""How examples/provision.py calls what it sees, and what the private data dir makes of mistakes; no host is needed."""

from __future__ import annotations

import configparser
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PROVISION = ROOT / "examples" / "provision.py"
CANARY = "canary-0c51"
SECONDS, SECONDS_TO_CANCEL = 60, 5


def load() -> t.Any:
    spec = importlib.util.spec_from_file_location("provision", PROVISION)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["provision"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


provision = load()
PLAY = {"event": "playbook_on_play_start", "event_data": {"name": "Check the inventory"}}


def failed(action: str, **more: t.Any) -> dict[str, t.Any]:
    data = {"host": "nas", "task": "Task", "task_action": action, "resolved_action": action, "res": {"msg": "no"}}
    return {"event": "runner_on_failed", "event_data": data | more}


def unreachable() -> dict[str, t.Any]:
    return {"event": "runner_on_unreachable", "event_data": {"host": "nas", "task": "Task", "res": {"msg": "no"}}}


def stats(ok: bool) -> dict[str, t.Any]:
    return {"event": "playbook_on_stats", "event_data": {"artifact_data": {"wonder_mesh": {"ok": ok}}}}


@pytest.mark.parametrize(
    ("events", "ended", "status"),
    [
        ([PLAY, stats(True)], "successful", "kept"),
        ([PLAY, stats(False), failed("ansible.builtin.assert")], "failed", "broken"),
        ([PLAY, failed("wonder.mesh.daemon")], "failed", "failed"),
        ([PLAY, failed("wonder.mesh.daemon", ignore_errors=True), stats(True)], "successful", "kept"),
        ([PLAY, failed("wonder.mesh.mesh_model")], "failed", "refused"),
        ([PLAY, failed("ansible.builtin.validate_argument_spec")], "failed", "refused"),
        ([], "failed", "refused"),  # an inventory or a playbook that cannot be read
        ([PLAY, unreachable(), failed("ansible.builtin.assert"), stats(False)], "failed", "unreachable"),
        ([PLAY, failed("wonder.mesh.mesh_lock")], "failed", "busy"),
        ([PLAY, unreachable()], "canceled", "cancelled"),
        ([PLAY], "timeout", "timeout"),
    ],
)
def test_a_status_says_how_a_run_ended(events: list[dict[str, t.Any]], ended: str, status: str) -> None:
    run = provision.Run()
    for event in events:
        run.handle(event)
    assert run.status(ended) == status


def test_every_status_is_explained() -> None:
    text = (ROOT / "docs" / "runner.md").read_text(encoding="utf-8")
    assert [f"| {number} | `{name}` |" in text for name, number in provision.STATUSES.items()] == [True] * 8


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A copy of the private data dir; its playbooks find this checkout's collection."""
    copy = shutil.copytree(ROOT / "runner", tmp_path / "runner", ignore=shutil.ignore_patterns("artifacts"))
    os.symlink(ROOT / "collections", copy / "project" / "collections")
    return copy


def run(data_dir: Path, inventory: dict[str, t.Any] | None, *arguments: str, **environment: str) -> tuple[int, str]:
    if inventory is not None:
        (data_dir / "inventory" / "hosts.yml").write_text(yaml.safe_dump(inventory))
    done = subprocess.run(
        [sys.executable, str(PROVISION), "--private-data-dir", str(data_dir), *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(data_dir), "LC_ALL": "C.UTF-8", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.returncode, done.stdout


WRONG = {"all": {"hosts": {"nas": {"mesh_nat": "esay"}}, "children": {"nodes": {"hosts": {"nas": {}}}}}}


def test_a_mistake_in_the_inventory_is_refused_with_its_fix(data_dir: Path) -> None:
    status, said = run(data_dir, WRONG)
    assert status == provision.STATUSES["refused"], said
    assert 'nas: mesh_nat: found "esay"' in said


def test_a_private_data_dir_without_inventory_is_refused_with_its_fix(data_dir: Path) -> None:
    status, said = run(data_dir, None)
    assert status == provision.STATUSES["refused"], said
    assert f"there is no inventory in {data_dir}/inventory; put yours there as hosts.yml" in said
    assert not (data_dir / "artifacts").exists()


def test_a_run_without_inventory_is_refused_with_its_fix_also_without_that_program(data_dir: Path) -> None:
    done = subprocess.run(
        ["ansible-runner", "run", str(data_dir), "-p", "site.yml"],
        env={"PATH": os.environ["PATH"], "HOME": str(data_dir), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 2, done.stdout
    assert "the inventory: hosts: found []: a mesh has hosts. Name yours by -i, or put it into" in done.stdout


def test_a_file_that_is_no_inventory_is_refused(data_dir: Path) -> None:
    (data_dir / "inventory" / "hosts.yml").write_text("[")
    status, said = run(data_dir, None)
    assert status == provision.STATUSES["refused"], said
    assert "hosts.yml" in said


@pytest.mark.parametrize("arguments", [["--inventory", "nowhere"], ["--timeout", "soon"], ["--wat"]])
def test_a_wrong_argument_is_no_broken_promise(data_dir: Path, arguments: list[str]) -> None:
    status, said = run(data_dir, WRONG, *arguments)
    assert (status, "status: refused" in said) == (provision.STATUSES["refused"], True), said


HERE = {"all": {"hosts": {"localhost": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}}}
SLOW = [
    {
        "name": "Be slow",
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [{"name": "Sleep", "ansible.builtin.command": {"argv": ["sleep", "60"]}}],
    }
]


@pytest.fixture
def slow(data_dir: Path) -> Path:
    """It has a playbook that takes a minute."""
    (data_dir / "project" / "slow.yml").write_text(yaml.safe_dump(SLOW))
    (data_dir / "inventory" / "hosts.yml").write_text(yaml.safe_dump(HERE))
    return data_dir


def test_a_run_whose_time_is_up_says_so(slow: Path) -> None:
    status, said = run(slow, None, "--playbook", "slow.yml", "--timeout", "5")
    assert (status, "status: timeout" in said) == (provision.STATUSES["timeout"], True), said


def test_a_run_that_is_terminated_is_cancelled_within_five_seconds(slow: Path) -> None:
    command = [sys.executable, str(PROVISION), "--private-data-dir", str(slow), "--playbook", "slow.yml"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(slow), "LC_ALL": "C.UTF-8"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        while "Sleep ..." not in (line := process.stdout.readline()):
            assert line
        process.terminate()
        said = process.communicate(timeout=SECONDS_TO_CANCEL)[0]
    assert (process.returncode, "status: cancelled" in said) == (provision.STATUSES["cancelled"], True), said


def test_a_secret_is_in_no_artifact(data_dir: Path, tmp_path: Path) -> None:
    """Neither one of the environment nor one of the file of secrets; the run fails, which tells most."""
    secrets = tmp_path / "secrets.json"
    secrets.write_text(json.dumps({"my_password": CANARY, "mesh_grants": 7}))
    status, said = run(data_dir, WRONG, "--secrets", str(secrets), MY_TOKEN=CANARY)
    assert status == provision.STATUSES["refused"], said
    files = [path for path in (data_dir / "artifacts").rglob("*") if path.is_file()]
    assert len(files) > 5, said
    assert [path for path in files if CANARY in path.read_text()] == []


def test_the_proof_of_the_last_run_is_no_inventory(data_dir: Path) -> None:
    (data_dir / "inventory" / "result.json").write_text("{}")
    assert "result.json" not in run(data_dir, WRONG)[1]


def settings(path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(path.read_text(encoding="utf-8"))
    return {name: dict(parser[name]) for name in parser.sections()}


def test_the_settings_are_those_of_the_checkout() -> None:
    ours, theirs = settings(ROOT / "runner/project/ansible.cfg"), settings(ROOT / "ansible.cfg")
    for section, names in {  # whose values have a reason of their own
        "defaults": {"collections_path", "inventory", "callback_result_format"},
        "diff": {"always"},
    }.items():
        for each in (ours, theirs):
            for name in names:
                each.get(section, {}).pop(name, None)
    theirs.pop("diff")
    assert ours == theirs
