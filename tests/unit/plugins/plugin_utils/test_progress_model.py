# SPDX-License-Identifier: MIT
"""How far a run is, what its hosts do, and what is said of its failures; without Ansible and without a terminal."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils._failures import Failure, Failures, failure, fix
from ansible_collections.wonder.mesh.plugins.plugin_utils._progress import Progress, clock_time


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(clock: Clock) -> Progress:
    return Progress([["a", "b"], ["c", "d"]], clock)


def test_a_run_begins_at_nothing(progress: Progress) -> None:
    assert (progress.share, progress.elapsed) == (0.0, 0.0)


def test_tasks_that_are_passed_over_count(progress: Progress) -> None:
    progress.start_play("second")
    progress.start_play("second")
    progress.start_task("d")
    assert progress.share == 0.75


def test_an_included_task_does_not_move_the_run(progress: Progress) -> None:
    progress.start_play("first")
    progress.start_task("b")
    progress.start_task("from an include")
    assert progress.share == 0.25


def test_a_play_in_batches_does_not_go_back(progress: Progress) -> None:
    progress.start_play("first")
    progress.start_task("b")
    progress.start_task("a")
    assert progress.share == 0.25


def test_a_play_without_tasks_divides_by_nothing(clock: Clock) -> None:
    assert Progress([], clock).share == 0.0


def test_a_host_is_timed(progress: Progress, clock: Clock) -> None:
    progress.start_host("nas", "Ping it")
    clock.now += 2.5
    assert progress.end_host("nas", "Ping it", "changed") == 2.5


def test_hosts_that_are_at_work_or_lost_come_first_where_there_is_no_room(progress: Progress) -> None:
    for name in ("a", "b", "c", "d"):
        progress.start_host(name, "Ping it")
    progress.end_host("a", "Ping it", "ok")
    progress.end_host("b", "Ping it", "changed")
    progress.end_host("d", "Ping it", "FAILED")
    shown, others = progress.rows(2)
    assert ([host.name for host in shown], others) == (["c", "d"], 2)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (7.9, "0:07"), (754, "12:34"), (3723, "1:02:03")])
def test_time_is_told_like_a_clock(seconds: float, text: str) -> None:
    assert clock_time(seconds) == text


def told(result: dict[str, t.Any], unreachable: bool = False) -> Failure:
    return failure("Task", "play.yml:1", result, lambda details: str(details) if details else "", unreachable)


def test_the_items_of_a_loop_speak_for_themselves() -> None:
    results = [{"item": 1, "msg": "fine"}, {"item": 2, "msg": "bad", "failed": True, "stderr": "oh"}]
    each = told({"msg": "One or more items failed", "results": results})
    assert (each.message, each.details) == ("(item 2) bad", "{'stderr': 'oh'}")


def test_hidden_output_stays_hidden() -> None:
    each = told({"censored": "hidden by no_log", "msg": "secret", "stdout": "secret"})
    assert "secret" not in each.message + each.details


def test_a_host_that_was_rescued_is_left_out() -> None:
    failures = Failures()
    for host in ("a", "b"):
        failures.add(host, told({"msg": "bad"}))
    assert [each.hosts for each in failures.of({"b"})] == [["b"]]


@pytest.mark.parametrize(
    ("message", "unreachable", "advice"),
    [
        ("Missing sudo password", False, "--ask-become-pass"),
        ("ssh: Host key verification failed.", True, "ssh-keygen -R"),
        ("root@h: Permission denied (publickey).", True, "ansible_ssh_private_key_file"),
        ("/bin/sh: 1: /usr/bin/python3: not found", False, "ansible_python_interpreter"),
        ("Connection timed out", True, "--limit 'all,!nas'"),
    ],
)
def test_common_failures_come_with_their_fix(message: str, unreachable: bool, advice: str) -> None:
    assert advice in fix(told({"msg": message}, unreachable)._replace(hosts=["nas"]))


def test_a_message_that_says_what_to_do_gets_no_second_advice() -> None:
    assert fix(told({"msg": "found 1; use 2"})) == ""
