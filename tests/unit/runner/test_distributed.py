# SPDX-License-Identifier: MIT
"""How examples/distributed.py splits an inventory, and what it makes of workers that fail; no host is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PROGRAM = ROOT / "examples" / "distributed.py"
sys.path.insert(0, str(PROGRAM.parent))

import distributed
from provision import STATUSES

HOSTS = {"vps": {}, "box-1": {"mesh_home": "flat"}, "box-2": {"mesh_home": "shed"}, "box-3": {"mesh_home": "shed"}}
HERE = f"{Path(sys.executable).parent}/ansible-runner worker"
SECONDS = 120


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """What can be sent: a private data dir with an inventory; its playbooks find this checkout's collection."""
    copy = shutil.copytree(ROOT / "runner", tmp_path / "runner", ignore=shutil.ignore_patterns("artifacts"))
    settings = copy / "project" / "ansible.cfg"
    text = settings.read_text().replace("collections_path = ", f"collections_path = {ROOT / 'collections'}:")
    settings.write_text(text)
    inventory(copy, HOSTS)
    return copy


def inventory(data_dir: Path, hosts: dict[str, dict[str, str]]) -> None:
    groups = {
        "coordinator": {"hosts": {"vps": {}}},
        "gateways": {"hosts": {"vps": {}}},
        "nodes": {"hosts": {name: {} for name in hosts}},
        "shed": {"hosts": {"box-2": {}, "box-3": {}}},
    }
    (data_dir / "inventory" / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts, "children": groups}}))


def run(data_dir: Path, *workers: str) -> tuple[int, str]:
    options = [word for each in workers for word in ("--worker", each)]
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(data_dir), *options, "--result", str(data_dir / "result.json")],
        env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(data_dir), "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.returncode, done.stdout


def test_each_worker_has_its_nodes_and_the_first_one_the_public_hosts(data_dir: Path) -> None:
    workers = distributed.split(data_dir / "inventory", ["box-1=true", "shed=ssh x worker"])
    assert [(each.name, each.command, each.nodes, each.public) for each in workers] == [
        ("box-1", ["true"], ["box-1"], ["vps"]),
        ("shed", ["ssh", "x", "worker"], ["box-2", "box-3"], []),
    ]


@pytest.mark.parametrize(
    ("workers", "told"),
    [
        (["box-1=true"], "no worker has box-2, box-3; each node needs one"),
        (["nodes=true", "shed=true"], "'shed' is no node that is not another worker's already"),
        (["nodes"], "found no command; write PATTERN=COMMAND"),
        (["attic=true", "nodes=true"], "'attic' is no node"),
    ],
)
def test_a_split_that_leaves_or_doubles_a_node_is_refused(data_dir: Path, workers: list[str], told: str) -> None:
    status, said = run(data_dir, *workers)
    assert (status, told in said) == (STATUSES["refused"], True), said


def test_a_mistake_in_the_inventory_is_refused_by_the_worker_and_told_here(data_dir: Path) -> None:
    inventory(data_dir, {**HOSTS, "box-1": {"mesh_nat": "esay"}})
    status, said = run(data_dir, f"nodes={HERE}")
    assert (status, 'box-1: mesh_nat: found "esay"' in said) == (STATUSES["refused"], True), said


@pytest.mark.parametrize(
    ("command", "told"),
    [("sh -c 'echo no route >&2; exit 255'", "no route"), ("/nonexistent/ssh", "No such file or directory")],
)
def test_a_worker_that_does_not_work_is_named_with_what_it_said(data_dir: Path, command: str, told: str) -> None:
    status, said = run(data_dir, f"nodes={command}")
    assert (status, f"nodes: {command}" in said, told in said) == (STATUSES["unreachable"], True, True), said
