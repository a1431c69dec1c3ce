# SPDX-License-Identifier: MIT
"""How a check is compared with the run that follows, and a run with what had drifted."""

from __future__ import annotations

import json
import typing as t

import pytest

from tests.fault.drifts import Drift
from tests.fault.events import Events, astray, untrue

if t.TYPE_CHECKING:
    from pathlib import Path

TASK = "Run Caddy"


def line(after: str, *, host: str = "edge", changed: bool = True, header: str = "/etc/x", **said: t.Any) -> str:
    diff = [{"before_header": header, "after_header": header, "before": "old\n", "after": after}]
    event = {"task": TASK, "host": host, "outcome": "ok", "message": ""}
    return json.dumps(event | {"said": {"changed": changed, "diff": diff} | said})


@pytest.fixture
def events(tmp_path: Path) -> t.Callable[..., Events]:
    def make(*lines: str) -> Events:
        path = tmp_path / "events.jsonl"
        path.write_text("\n".join(lines))
        return Events.load(path)

    return make


def test_the_same_diff_is_true(events: t.Callable[..., Events]) -> None:
    assert untrue(events(line("new\n")), events(line("new\n"))) == []


@pytest.mark.parametrize(
    "done",
    [
        [line("new")],  # one byte
        [line("new\n", changed=False)],
        [line("new\n", restarted=True)],
        [line("new\n", header="/etc/y")],
        [],
        [line("new\n"), line("new\n", host="nas")],
    ],
)
def test_any_difference_is_untrue(events: t.Callable[..., Events], done: list[str]) -> None:
    assert len(untrue(events(line("new\n")), events(*done))) == 1


def test_a_play_that_said_nothing_has_no_events(tmp_path: Path) -> None:
    assert Events.load(tmp_path / "none").said == {}


def test_a_failure_is_told_by_host_and_task(events: t.Callable[..., Events]) -> None:
    failed = json.loads(line("new\n")) | {"outcome": "failed", "message": "no"}
    assert events(json.dumps(failed)).failures() == ["edge: Run Caddy: no"]


@pytest.mark.parametrize(
    ("touched", "wrong"),
    [
        ({"/etc/x"}, []),
        ({"/etc/x", "caddy.service"}, []),
        ({"/etc/x", "/etc/y"}, ["edge: Run Caddy: touched /etc/y"]),
        ({"caddy.service"}, ["edge: Run Caddy: left /etc/x"]),
    ],
)
def test_a_run_must_touch_what_drifted_and_no_more(touched: set[str], wrong: list[str]) -> None:
    drift = Drift("x", "edge", TASK, "", frozenset({"/etc/x"}), frozenset({"caddy.service"}))
    assert astray([drift], {("edge", TASK): touched}) == wrong


def test_a_host_without_a_drift_must_not_be_touched() -> None:
    assert astray([], {("nas", TASK): {"/etc/x"}}) == ["nas: Run Caddy: touched /etc/x"]
