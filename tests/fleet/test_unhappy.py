# SPDX-License-Identifier: MIT
"""What goes wrong is noticed, named, and does no harm."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from world import read_json, run

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from world import Fleet

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
    assert demo.play("site.yml", variables=own_result).status == 0


@pytest.mark.usefixtures("open_policy")
def test_an_open_policy_breaks_a_promise_of_refusal(demo: Fleet, own_result: dict[str, str]) -> None:
    play = demo.play("playbooks/verify.yml", variables=own_result)
    broken = [each for each in read_json(Path(own_result["mesh_result_file"]))["refusals"] if each["ok"] is False]
    assert (play.status == 0, broken == []) == (False, False)
