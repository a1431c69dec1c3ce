# SPDX-License-Identifier: MIT

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils._systemd import Systemd, SystemdError, UnitState

RUNNING = (
    "ActiveState=active\nSubState=running\nUnitFileState=enabled\nNRestarts=2\nResult=success\nNeedDaemonReload=yes\n"
)


class Answers:
    """Gives one answer to every command, and remembers them."""

    def __init__(self, rc: int = 0, out: str = "", err: str = "") -> None:
        self.commands: list[str] = []
        self._answer = (rc, out, err)

    def __call__(self, args: list[str]) -> tuple[int, str, str]:
        assert args[0] == "timeout"
        self.commands.append(" ".join(args[2:]))
        return self._answer


def test_reads_a_units_state() -> None:
    state = Systemd(Answers(out=RUNNING)).state("demo.service")
    assert state == UnitState("active", "running", enabled=True, restarts=2, result="success", stale=True)
    assert state.running


@pytest.mark.parametrize(
    ("out", "running", "enabled"),
    [
        ("ActiveState=inactive\nSubState=dead\nUnitFileState=\nNRestarts=0\nNeedDaemonReload=no\n", False, False),
        ("ActiveState=active\nUnitFileState=static\nNRestarts=\n", True, False),
        ("ActiveState=activating\nUnitFileState=enabled-runtime\n", True, True),
        ("ActiveState=failed\nUnitFileState=disabled\n", False, False),
        ("", False, False),
    ],
)
def test_a_unit_without_a_property_is_read_too(out: str, running: bool, enabled: bool) -> None:
    state = Systemd(Answers(out=out)).state("demo.socket")
    assert (state.running, state.enabled, state.restarts, state.stale) == (running, enabled, 0, False)


@pytest.mark.parametrize(
    ("act", "commands"),
    [
        (lambda systemd: systemd.reload_units(), ["daemon-reload"]),
        (lambda systemd: systemd.enable("a", True), ["enable --quiet -- a"]),
        (lambda systemd: systemd.reload("a"), ["reload -- a"]),
        (lambda systemd: systemd.stop("a", "b"), ["stop -- a b"]),
        (lambda systemd: systemd.restart("a"), ["reset-failed -- a", "restart --no-block -- a"]),
        (
            lambda systemd: systemd.restart("a", "b"),
            ["stop -- b", "reset-failed -- a b", "restart --no-block -- a"],
        ),
    ],
)
def test_gives_these_orders(act: t.Callable[[Systemd], None], commands: list[str]) -> None:
    answers = Answers()
    act(Systemd(answers))
    assert answers.commands == [f"systemctl {each}" for each in commands]


@pytest.mark.parametrize(("out", "orders"), [(RUNNING, 2), ("UnitFileState=\n", 1)])
def test_disables_only_what_is_enabled(out: str, orders: int) -> None:
    answers = Answers(out=out)
    Systemd(answers).enable("a", False)
    assert len(answers.commands) == orders


def test_a_unit_that_systemd_does_not_know_is_down() -> None:
    Systemd(Answers(rc=5)).stop("a")
    with pytest.raises(SystemdError, match="systemctl reload -- a failed"):
        Systemd(Answers(rc=5)).reload("a")


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (Answers(124), "systemctl reload gave no answer within 90 s"),
        (Answers(1, "out", "err\n"), "systemctl reload -- a failed: err"),
        (Answers(1, "out\n"), "systemctl reload -- a failed: out"),
    ],
)
def test_a_refusal_is_told_in_systemds_words(answers: Answers, message: str) -> None:
    with pytest.raises(SystemdError) as caught:
        Systemd(answers).reload("a")
    assert str(caught.value) == message


def test_last_words_are_few_and_short() -> None:
    answers = Answers(out="one\n" + "x" * 1000 + "\n\n")
    words = Systemd(answers).last_words("a", lines=2, width=10)
    assert words == "one\n" + "x" * 10
    assert answers.commands == ["journalctl --no-pager --output=cat --lines=2 --unit=a"]
