# SPDX-License-Identifier: MIT
"""A change on trial, in a process of its own."""

from __future__ import annotations

import fcntl
import os
import threading
import time
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils import _trial
from ansible_collections.wonder.mesh.plugins.module_utils._trial import KEEP, ON_TRIAL, REVERT, TrialError

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DONE = {"changed": True, "diff": []}
SECONDS = 20


class Host:
    """Where a file says which state is in force."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / "state"
        self.file.write_text("old")
        self.commands = root / "commands"

    def begin(self, change: Callable[[Callable[[], None]], dict[str, t.Any]] | None = None) -> dict[str, t.Any]:
        return _trial.on_trial("t", change or self.change, self.run_command, str(self.root))

    def ask(self, verdict: bytes = KEEP) -> dict[str, t.Any] | None:
        return _trial.ask("t", verdict, str(self.root))

    def change(self, prove: Callable[[], None]) -> dict[str, t.Any]:
        self.file.write_text("new")
        try:
            prove()
        except TrialError as exc:
            self.file.write_text("old")
            raise RuntimeError(f"{exc}. Put back.") from exc
        self.file.write_text("kept")
        return DONE

    def run_command(self, args: list[str]) -> tuple[int, str, str]:
        self.commands.write_text(" ".join(args))
        return 0, "", ""

    def state_is(self, state: str) -> bool:
        """Whether it becomes so."""
        return soon(lambda: self.file.read_text() == state)

    def is_bare(self) -> bool:
        return soon(lambda: not list(self.root.glob("wonder-mesh-trial-*")))


def soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(_trial, "PATIENCE", SECONDS)
    monkeypatch.setattr(_trial, "LINGER", SECONDS)
    return Host(tmp_path)


@pytest.fixture
def hasty(host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """One that waits for nobody."""
    monkeypatch.setattr(_trial, "WINDOW", 0.2)
    return host


def test_a_change_without_a_name_is_simply_made(tmp_path: Path) -> None:
    def change(prove: Callable[[], None]) -> dict[str, t.Any]:
        prove()
        return {"pid": os.getpid()}

    assert _trial.on_trial("", change, lambda _args: (0, "", ""), str(tmp_path)) == {"pid": os.getpid()}
    assert list(tmp_path.iterdir()) == []


def test_a_change_that_is_confirmed_is_kept_and_its_outcome_told(host: Host) -> None:
    assert host.begin() == ON_TRIAL
    assert host.file.read_text() == "new"
    assert host.ask() == DONE
    assert host.state_is("kept")
    assert host.is_bare()


def test_a_change_that_nobody_confirms_is_taken_back(hasty: Host) -> None:
    hasty.begin()
    assert hasty.state_is("old")


def test_who_comes_later_is_told_that_it_was_taken_back(hasty: Host) -> None:
    hasty.begin()
    assert hasty.state_is("old")
    reason = "The controller did not come back over a new connection within 0.2 s of the change. Put back."
    assert hasty.ask() == {"failed": True, "msg": reason}
    assert hasty.is_bare()


def test_an_outcome_that_nobody_fetches_is_forgotten(hasty: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_trial, "LINGER", 0.2)
    hasty.begin()
    assert hasty.state_is("old")
    assert hasty.is_bare()
    assert hasty.ask() is None


def test_a_change_that_the_controller_refuses_is_taken_back_at_once(host: Host) -> None:
    host.begin()
    outcome = host.ask(REVERT)
    assert outcome == {"failed": True, "msg": "The change cuts the controller off. Put back."}
    assert host.state_is("old")


def test_who_came_before_the_change_was_made_confirms_nothing(host: Host) -> None:
    go = host.root / "go"

    def slow(prove: Callable[[], None]) -> dict[str, t.Any]:
        assert soon(go.exists)
        return host.change(prove)

    answers: list[t.Any] = []
    session = threading.Thread(target=lambda: answers.append(host.begin(slow)))
    session.start()
    assert soon(lambda: (host.root / "commands").exists())
    early = threading.Thread(target=lambda: answers.append(host.ask()))
    early.start()
    time.sleep(0.2)
    go.touch()
    early.join()
    session.join()
    assert answers == [ON_TRIAL, ON_TRIAL]
    assert host.file.read_text() == "new"
    assert host.ask() == DONE


def test_a_change_that_fails_is_told_to_who_asks(host: Host) -> None:
    def fail(_prove: Callable[[], None]) -> dict[str, t.Any]:
        raise ValueError("the daemon died")

    assert host.begin(fail) == ON_TRIAL
    assert host.ask() == {"failed": True, "msg": "the daemon died"}


def test_nonsense_on_the_socket_decides_nothing(host: Host) -> None:
    host.begin()
    assert host.ask(b"nonsense") is None
    assert host.ask() == DONE


def test_the_next_run_may_have_the_lock_once_the_change_is_settled(host: Host) -> None:
    lock = os.open(host.root, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    host.begin()
    os.close(lock)  # as the module does at its end; the trial still has it
    other = os.open(host.root, os.O_RDONLY | os.O_DIRECTORY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    host.ask()
    fcntl.flock(other, fcntl.LOCK_EX)
    os.close(other)


def test_the_change_is_made_outside_the_session_and_its_control_group(host: Host) -> None:
    def where(_prove: Callable[[], None]) -> dict[str, t.Any]:
        return {"leads": os.getsid(0) == os.getpid(), "pid": os.getpid(), "stdout": os.readlink("/proc/self/fd/1")}

    host.begin(where)
    outcome = host.ask() or {}
    assert (outcome["leads"], outcome["stdout"]) == (True, "/dev/null")
    assert host.commands.read_text().endswith(f"wonder-mesh-trial-t.scope fail 1 PIDs au 1 {outcome['pid']} 0")


def test_only_root_gets_to_the_socket(host: Host) -> None:
    host.begin()
    assert (host.root / "wonder-mesh-trial-t").stat().st_mode & 0o777 == 0o700
    host.ask()


def test_a_trial_is_known_while_it_lasts(host: Host) -> None:
    assert not _trial.begun("t", str(host.root))
    host.begin()
    assert _trial.begun("t", str(host.root))
    host.ask()
    assert soon(lambda: not _trial.begun("t", str(host.root)))


def test_no_name_is_no_trial(host: Host) -> None:
    (host.root / "wonder-mesh-trial-").mkdir()
    assert not _trial.begun("", str(host.root))
