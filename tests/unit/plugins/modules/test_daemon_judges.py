# SPDX-License-Identifier: MIT
"""Files that ``daemon`` judges itself, since no checker of their daemon reads them."""

from __future__ import annotations

import json
import typing as t

import pytest

if t.TYPE_CHECKING:
    from tests.unit.plugins.modules.daemon_host import Host, Run

RATE = "PerClientRateLimitBytesPerSec"


def wanted(host: Host, content: str) -> dict[str, t.Any]:
    described = host.wanted(check=[])
    limits = {"path": str(host.etc / "demo" / "limits"), "content": content, "judge": "derper_limits"}
    return described | {"files": [*described["files"], limits]}


def test_a_file_that_its_judge_takes_is_put_in_place(host: Host, run_daemon: Run) -> None:
    assert not run_daemon(wanted(host, json.dumps({RATE: 5})))["failed"]
    assert json.loads((host.etc / "demo" / "limits").read_text()) == {RATE: 5}


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "Expecting property name"),
        ("[5]", f"must be a mapping with {RATE} and nothing else"),
        (json.dumps({RATE: 5, "other": 1}), f"must be a mapping with {RATE} and nothing else"),
        (json.dumps({RATE: 0}), f"{RATE} is 0, and must be a number of bytes above 0"),
        (json.dumps({RATE: True}), f"{RATE} is True, and must be a number of bytes above 0"),
    ],
)
def test_one_that_it_refuses_changes_nothing(
    host: Host, run_daemon: Run, content: str, reason: str, check: bool
) -> None:
    run_daemon(wanted(host, json.dumps({RATE: 5})))
    before = host.snapshot()
    answer = run_daemon(wanted(host, content), check_mode=check)
    assert answer["failed"]
    assert f"{host.etc}/demo/limits would be damaged, and stays as it is: " in answer["msg"]
    assert reason in answer["msg"]
    assert host.snapshot() == before
