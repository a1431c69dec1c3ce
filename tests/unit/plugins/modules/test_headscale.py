# SPDX-License-Identifier: MIT
"""The modules that speak to Headscale, against a small one."""

from __future__ import annotations

import contextlib
import datetime
import json
import sqlite3
import stat
import time
import typing as t

import pytest
from ansible.module_utils import basic

from ansible_collections.wonder.mesh.plugins.module_utils import _headscale
from ansible_collections.wonder.mesh.plugins.modules import headscale_join_key, headscale_node, headscale_policy
from tests.unit.plugins.modules.headscale_server import Headscale, serve
from tests.unit.plugins.modules.judge import Judge

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., dict[str, t.Any]]

POLICY = {"grants": [], "tagOwners": {"tag:node": []}}
MINI = {"name": "mini-1", "tags": ["tag:node"]}


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "state" / "headscale" / "api_key.json"
    monkeypatch.setattr(_headscale, "KEY_FILE", str(path))
    return path


@pytest.fixture
def headscale(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Headscale]:
    headscale = Headscale()
    monkeypatch.setattr(basic.AnsibleModule, "run_command", lambda _self, args, **_: headscale.run_command(args))
    with serve(headscale):
        yield headscale


@pytest.fixture
def call(run_module: Run, headscale: Headscale, tmp_path: Path) -> Run:
    """Call a module for the small Headscale. Its program lies there, which is all that is asked of it."""
    (tmp_path / "headscale").touch()

    def run(module: t.Any, **arguments: t.Any) -> dict[str, t.Any]:
        there = {"url": f"http://127.0.0.1:{headscale.port}", "binary": str(tmp_path / "headscale"), "config": "c"}
        result = run_module(module.main, **there | arguments)
        assert "url" in arguments or "does not answer" not in result.get("msg", "")  # or a later line fails instead
        return result

    return run


def test_the_first_policy_is_set_and_the_second_run_only_asks(call: Run, headscale: Headscale) -> None:
    result = call(headscale_policy, policy=POLICY)
    assert (result["failed"], result["changed"], result["diff"]["before"]) == (False, True, "")
    assert json.loads(headscale.policy or "") == json.loads(result["diff"]["after"]) == POLICY
    headscale.requests.clear()
    assert call(headscale_policy, policy=POLICY)["changed"] is False
    assert [path for _, path, _ in headscale.requests] == ["/api/v1/policy", "/api/v1/node"]


def test_a_persons_own_policy_is_shown_and_replaced(call: Run, headscale: Headscale) -> None:
    headscale.policy = '{"grants": [], } // mine'
    result = call(headscale_policy, policy=POLICY)
    assert (result["changed"], result["diff"]["before"]) == (True, '{"grants": [], } // mine')


def test_a_refused_policy_leaves_the_old_one(call: Run, headscale: Headscale) -> None:
    call(headscale_policy, policy=POLICY)
    before, headscale.refuses = headscale.policy, "tag:unknown"
    result = call(headscale_policy, policy={"grants": [{"src": ["tag:unknown"]}]})
    assert result["msg"] == (
        "Headscale refuses the policy: parsing policy: tag:unknown is not known. The one in force stays."
    )
    assert (headscale.policy, len(headscale.writes())) == (before, 1)


def test_a_policy_that_would_allow_everything_is_refused(call: Run, headscale: Headscale) -> None:
    assert "add `grants: []`" in call(headscale_policy, policy={"tagOwners": {}})["msg"]
    assert headscale.requests == []


def test_check_mode_only_reads(call: Run, headscale: Headscale, key_file: Path) -> None:
    assert call(headscale_policy, check=True, policy=POLICY)["changed"]
    assert (headscale.requests, headscale.commands, key_file.exists()) == ([], [], False)
    call(headscale_policy, policy=POLICY)
    headscale.node("mini-1", tags=[])
    headscale.requests.clear()
    foretold = call(headscale_policy, check=True, policy=POLICY | {"groups": {}})
    assert foretold["diff"] == call(headscale_policy, policy=POLICY | {"groups": {}})["diff"]
    headscale.requests.clear()
    foretold = call(headscale_node, check=True, nodes=[MINI])
    assert headscale.writes() == []
    assert foretold["diff"] == call(headscale_node, nodes=[MINI])["diff"] != []


def test_the_api_key_is_made_once_for_root_only_and_told_to_nobody(
    call: Run, headscale: Headscale, key_file: Path
) -> None:
    results = [call(headscale_policy, policy=POLICY) for _ in range(2)]
    assert len(headscale.commands) == 1
    assert headscale.commands[0][2:] == [
        *(headscale.commands[0][2], "--config", "c", "apikeys", "create", "--expiration", "90d", "--output", "json")
    ]
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(key_file.parent.stat().st_mode) == 0o700
    assert [path.name for path in key_file.parent.iterdir()] == ["api_key.json"]
    assert "hskey-api" not in repr(results) + repr(headscale.commands)


@pytest.mark.parametrize(("days", "made"), [(31, 0), (29, 1), (-1, 1)])
def test_the_api_key_is_renewed_near_its_end(
    call: Run, headscale: Headscale, key_file: Path, days: int, made: int
) -> None:
    headscale.keys.append("hskey-api-old")
    key_file.parent.mkdir(parents=True)
    key_file.write_text(json.dumps({"key": "hskey-api-old", "expires": time.time() + days * 86400}))
    assert call(headscale_policy, check=True, policy=POLICY)["failed"] is False
    assert headscale.commands == []
    assert call(headscale_policy, policy=POLICY)["failed"] is False
    assert len(headscale.commands) == made


@pytest.mark.parametrize("kept", ["{", "[]"])
def test_a_damaged_key_file_is_made_anew_but_not_by_a_check(
    call: Run, headscale: Headscale, key_file: Path, kept: str
) -> None:
    key_file.parent.mkdir(parents=True)
    key_file.write_text(kept)
    assert call(headscale_policy, check=True, policy=POLICY)["changed"] is True
    assert (key_file.read_text(), headscale.requests) == (kept, [])
    assert call(headscale_policy, policy=POLICY)["failed"] is False


def test_a_key_of_another_database_is_replaced_once(call: Run, headscale: Headscale) -> None:
    call(headscale_policy, policy=POLICY)
    headscale.keys.clear()
    assert call(headscale_policy, check=True, policy=POLICY)["failed"] is False
    assert len(headscale.commands) == 1
    assert call(headscale_policy, policy=POLICY)["changed"] is False
    assert len(headscale.commands) == 2


def test_a_key_that_is_never_taken_ends_after_one_more(
    call: Run, headscale: Headscale, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headscale, "run_command", lambda _args: (0, '"not this one"', ""))
    assert "with 401" in call(headscale_policy, policy=POLICY)["msg"]
    assert len(headscale.requests) == 2


@pytest.fixture
def database(tmp_path: Path) -> str:
    """What Headscale left when it was stopped: its policy and one node."""
    path = tmp_path / "db.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE policies (id integer, deleted_at datetime, data text)")
        connection.execute("INSERT INTO policies VALUES (1, NULL, 'old'), (2, NULL, ?)", [json.dumps(POLICY)])
        columns = "id, hostname, given_name, node_key, tags, approved_routes, ipv4, ipv6, expiry, deleted_at"
        connection.execute(f"CREATE TABLE nodes ({columns})")
        node = (7, "mini-1", "mini-1", "nodekey:7", '["tag:old"]', None, "100.64.0.7", "fd7a::7", None, None)
        connection.execute("INSERT INTO nodes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", node)
    return str(path)


NOWHERE = "http://127.0.0.1:9"


@pytest.mark.parametrize(("policy", "changed"), [(POLICY, False), (POLICY | {"groups": {}}, True)])
def test_a_check_foretells_the_policy_of_a_headscale_that_is_down(
    call: Run, database: str, policy: dict[str, t.Any], changed: bool
) -> None:
    result = call(headscale_policy, check=True, policy=policy, url=NOWHERE, database=database)
    assert (result["changed"], json.loads(result["diff"]["before"])) == (changed, POLICY)


def test_a_check_foretells_the_nodes_of_a_headscale_that_is_down(call: Run, database: str) -> None:
    result = call(headscale_node, check=True, nodes=[MINI], url=NOWHERE, database=database)
    assert [(each["before"], each["after"]) for each in result["diff"]] == [
        ("tags: tag:old\nroutes: \n", "tags: tag:node\nroutes: \n")
    ]
    assert result["nodes"][0]["addresses"] == ["100.64.0.7", "fd7a::7"]


@pytest.mark.parametrize("content", [b"", b"no database"])
def test_a_database_that_is_not_understood_counts_as_an_empty_one(call: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "db.sqlite").write_bytes(content)
    there = {"url": NOWHERE, "database": str(tmp_path / "db.sqlite")}
    assert call(headscale_node, check=True, nodes=[MINI], **there)["unknown"] == ["mini-1"]
    assert call(headscale_policy, check=True, policy=POLICY, **there)["diff"]["before"] == ""


def test_a_headscale_that_does_not_answer_is_named(call: Run) -> None:
    result = call(headscale_policy, policy=POLICY, url="http://127.0.0.1:9")
    assert "Headscale does not answer on http://127.0.0.1:9" in result["msg"]


@pytest.mark.parametrize("module", [headscale_policy, headscale_node])
def test_a_check_on_a_bare_host_foretells(call: Run, headscale: Headscale, tmp_path: Path, module: t.Any) -> None:
    (tmp_path / "headscale").unlink()
    arguments = {"policy": POLICY} if module is headscale_policy else {"nodes": [MINI]}
    assert call(module, check=True, **arguments)["failed"] is False
    assert (headscale.requests, headscale.commands) == ([], [])


def test_a_join_key_is_single_use_tagged_and_short_lived(call: Run, headscale: Headscale) -> None:
    result = call(headscale_join_key, tags=["tag:node", "tag:gateway"])
    assert (result["changed"], result["key"], result["id"]) == (True, "hskey-auth-secret", "1")
    (minted,) = headscale.minted
    expires = datetime.datetime.strptime(minted.pop("expiration"), "%Y-%m-%dT%H:%M:%S%z")
    left = expires - datetime.datetime.now(datetime.UTC)
    assert datetime.timedelta(minutes=9) < left <= datetime.timedelta(minutes=10)
    assert minted == {"reusable": False, "ephemeral": False, "aclTags": ["tag:node", "tag:gateway"]}


def test_a_join_key_can_be_revoked(call: Run, headscale: Headscale) -> None:
    result = call(headscale_join_key, tags=["tag:node"], revoke="7")
    assert (result["failed"], "key" in result, headscale.expired, headscale.minted) == (False, False, ["7"], [])


def test_a_join_key_is_not_for_check_mode() -> None:
    with open(headscale_join_key.__file__, encoding="utf-8") as source:
        assert "supports_check_mode" not in source.read()


def test_a_policy_that_cuts_the_controller_off_is_put_back(
    call: Run, headscale: Headscale, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(headscale_policy, policy=POLICY)
    before = headscale.policy
    judge = Judge(monkeypatch, headscale_policy, "It is cut off")
    result = call(headscale_policy, policy=POLICY | {"groups": {}}, trial="t")
    assert (result["failed"], result["msg"]) == (True, "It is cut off. The previous policy was put back.")
    assert judge.trials == ["t"]
    assert headscale.policy == before


def test_a_persons_own_policy_is_put_back_as_it_was(
    call: Run, headscale: Headscale, monkeypatch: pytest.MonkeyPatch
) -> None:
    headscale.policy = '{"grants": [], // mine\n}'
    Judge(monkeypatch, headscale_policy, "It is cut off")
    assert call(headscale_policy, policy=POLICY, trial="t")["failed"]
    assert headscale.policy == '{"grants": [], // mine\n}'


def test_the_first_policy_and_one_in_force_need_no_trial(
    call: Run, headscale: Headscale, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = Judge(monkeypatch, headscale_policy)
    call(headscale_policy, policy=POLICY, trial="t")
    call(headscale_policy, policy=POLICY, trial="t")
    assert judge.trials == [""]
