# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import time
import typing as t

import jsonschema_rs
import pytest

from ansible_collections.wonder.mesh.plugins.action import mesh_result
from ansible_collections.wonder.mesh.plugins.plugin_utils._verdict import judge
from tests.unit.plugins.action.playbook import inventory, play, saved
from tests.unit.plugins.plugin_utils.mesh_world import GROUPS, HOSTS, measure, model

if t.TYPE_CHECKING:
    from pathlib import Path

RESULT: dict[str, t.Any] = {
    "name": "Judge",
    "wonder.mesh.mesh_result": {"model": "{{ the_model }}", "result_file": "result.json", "paths": "strict"},
    "register": "outcome",
    "run_once": True,
}
SHOW: dict[str, t.Any] = {
    "name": "Show",
    "ansible.builtin.assert": {"that": ["outcome.result.ok", "outcome is not changed"]},
    "run_once": True,
}


def prepared(without: str = "") -> dict[str, t.Any]:
    """An inventory whose hosts have measured already, but one."""
    hosts: dict[str, t.Any] = {name: {} for name in HOSTS}
    for name, measured in measure(model()).items():
        if name != without:
            hosts[name]["__verify_probe"] = measured
    return inventory(hosts, GROUPS, {"the_model": model()})


def test_the_result_is_private_and_no_change(tmp_path: Path) -> None:
    run = play(tmp_path, prepared(), [RESULT, SHOW])
    assert run.returncode == 0, run.stdout + run.stderr
    path = tmp_path / "result.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert saved(path)["ok"] is True
    assert "The mesh keeps what the inventory promises: 20 of 20 pairs carry traffic." in run.stdout
    assert "\x1b[" not in run.stdout
    assert sorted(each.name for each in tmp_path.glob("*.json")) == ["result.json"]


def test_check_mode_judges_and_writes_nothing(tmp_path: Path) -> None:
    run = play(tmp_path, prepared(), [RESULT, SHOW], "--check")
    assert run.returncode == 0, run.stdout + run.stderr
    assert not (tmp_path / "result.json").exists()


def test_a_host_without_a_measurement_breaks_the_proof_after_the_result(tmp_path: Path) -> None:
    run = play(tmp_path, prepared(without="nas"), [RESULT, SHOW])
    assert run.returncode == 2
    assert saved(tmp_path / "result.json")["problems"][0].startswith("nas was not measured")


def test_a_limit_is_no_broken_promise(tmp_path: Path) -> None:
    run = play(tmp_path, prepared(), [RESULT, SHOW], "--limit", "nas")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "outside --limit" in run.stdout


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    task = {**RESULT, "wonder.mesh.mesh_result": {"model": "{{ the_model }}", "result_file": "no/where.json"}}
    run = play(tmp_path, prepared(), [task])
    assert "no/where.json cannot be written: No such file or directory; set mesh_result_file" in run.stdout


def test_a_result_that_the_schema_does_not_describe_is_refused() -> None:
    result = judge(model(), measure(model()))
    mesh_result.check_shape(result)
    result["paths"][7]["ok"] = "perhaps"
    with pytest.raises(jsonschema_rs.ValidationError, match='"perhaps" is not of types'):
        mesh_result.check_shape(result)


def test_a_large_result_is_checked_in_next_to_no_time() -> None:
    """As of 125 nodes: 15,500 pairs, and as many refusals."""
    result = judge(model(), measure(model()))
    result |= {name: result[name][:1] * 15_500 for name in ("paths", "refusals")}
    started = time.process_time()
    mesh_result.check_shape(result)
    assert time.process_time() - started < 0.5


def test_a_failed_write_leaves_the_old_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result.json"
    path.write_text(json.dumps({"old": True}))

    def fsync(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fsync)
    with pytest.raises(OSError, match="No space left"):
        mesh_result.write_private(str(path), "new")
    assert saved(path) == {"old": True}
    assert list(tmp_path.iterdir()) == [path]
