# SPDX-License-Identifier: MIT
"""``daemon`` killed at every single step, and then run again."""

from __future__ import annotations

import os
import typing as t

import pytest

if t.TYPE_CHECKING:
    from tests.unit.plugins.modules.daemon_host import Host, Run
    from tests.unit.plugins.modules.moments import Moments

    Wanted = dict[str, t.Any] | None

CHANGED = {"config": "config 2\n", "extra": "extra 2\n", "unit": "[Service]\n# 2\n"}
# The checker has stories of its own: it takes most of the time.
UNCHECKED: dict[str, t.Any] = {"check": []}
UPGRADE = {"program": "program 2"}
BAD_UPGRADE = {"program": "program 2 dies"}
# As the action plugin has it: without files, and with a cache that was emptied.
GONE: dict[str, t.Any] = {"state": "absent", "remove_data": True, "files": [], "binaries": {}}
# What is there before, what the killed run wants, what the next one wants.
STORIES: dict[str, tuple[Wanted, dict[str, t.Any], dict[str, t.Any]]] = {
    "install": (None, UNCHECKED, UNCHECKED),
    "install that fails": (None, UNCHECKED | {"config": "dies"}, UNCHECKED | {"config": "dies"}),
    "change": ({}, UNCHECKED | CHANGED, UNCHECKED | CHANGED),
    "change that fails": ({}, UNCHECKED | CHANGED | {"config": "dies"}, UNCHECKED | CHANGED | {"config": "dies"}),
    "change that fails, then another": ({}, UNCHECKED | {"config": "dies"}, UNCHECKED | {"config": "dies too"}),
    "change that is never ready and is given up": ({}, UNCHECKED | {"config": "mute"}, UNCHECKED),
    "change that is checked": ({}, CHANGED, CHANGED),
    "change that the checker refuses": ({}, {"config": "wrong"}, {"config": "wrong"}),
    "reload": ({}, UNCHECKED | {"extra": "extra 2\n"}, UNCHECKED | {"extra": "extra 2\n"}),
    "reload that is refused": ({}, UNCHECKED | {"extra": "stubborn"}, UNCHECKED | {"extra": "stubborn"}),
    "stop": ({}, {"state": "stopped"}, {"state": "stopped"}),
    "upgrade": ({}, UNCHECKED | UPGRADE, UNCHECKED | UPGRADE),
    "upgrade that fails": ({}, UNCHECKED | BAD_UPGRADE, UNCHECKED | BAD_UPGRADE),
    "upgrade that fails and is mended": ({}, UNCHECKED | BAD_UPGRADE, UNCHECKED | UPGRADE),
    "upgrade that fails and is given up": ({}, UNCHECKED | BAD_UPGRADE, UNCHECKED),
    "absent": ({}, {"state": "absent"}, {"state": "absent"}),
    "install that is taken away": (None, UNCHECKED, GONE),
    "change that is taken away": ({}, UNCHECKED | CHANGED, GONE),
    "absent with data": ({}, {"state": "absent", "remove_data": True}, {"state": "absent", "remove_data": True}),
}


def prepare(host: Host, run_daemon: Run, before: Wanted) -> None:
    """The host as it was, with data of its own, and with a file that is no longer wanted."""
    host.reset()
    if before is None:
        return
    wanted = host.wanted(**before)
    old = {"path": str(host.etc / "demo" / "_old"), "content": "old\n", "on_change": "none"}
    made = run_daemon(wanted | {"files": [*wanted["files"], old]})
    assert not made["failed"], made["msg"]
    (host.data / "database").write_text("precious\n")


def expected(host: Host, run_daemon: Run, before: Wanted, wanted: dict[str, t.Any]) -> dict[str, t.Any]:
    """What an undisturbed run leaves."""
    prepare(host, run_daemon, before)
    run_daemon(host.wanted(**wanted))
    return host.snapshot()


def differences(found: dict[str, t.Any], wanted: dict[str, t.Any]) -> list[str]:
    return [
        f"{key}: {found.get(key, 'is missing')}, expected {wanted.get(key, 'nothing')}"
        for key in sorted({*found, *wanted})
        if found.get(key) != wanted.get(key)
    ]


@pytest.mark.parametrize("story", STORIES)
def test_the_next_run_ends_in_the_same_bytes(host: Host, moments: Moments, run_daemon: Run, story: str) -> None:
    before, disturbed, then = STORIES[story]
    wanted = expected(host, run_daemon, before, then)
    prepare(host, run_daemon, before)
    states = moments.record(host, lambda: run_daemon(host.wanted(**disturbed)))
    assert len(states) > 5
    problems: list[str] = []
    for step, state in states:
        state.restore(host)
        if host.is_known_as(host.wanted(**then)):
            # Then the next run does not even ask this host.
            problems += [f"killed before {step}, seems intact: {each}" for each in differences(host.snapshot(), wanted)]
        if run_daemon(host.wanted(**then))["failed"] and "is given up" in story:
            # The old program may not be able to go on from here: then the old state comes back, all of it.
            run_daemon(host.wanted(**then))
        problems += [f"killed before {step}: {each}" for each in differences(host.snapshot(), wanted)]
    assert not problems, "\n".join(problems).replace(str(host.root), "")


def test_data_that_a_killed_run_had_saved_are_there_after_a_removal_that_keeps_them(
    host: Host, moments: Moments, run_daemon: Run
) -> None:
    prepare(host, run_daemon, {})
    states = moments.record(host, lambda: run_daemon(host.wanted(**UNCHECKED, **BAD_UPGRADE)))
    lost = []
    for step, state in states:
        state.restore(host)
        run_daemon(host.wanted(**GONE | {"remove_data": False}))
        if not (host.data / "database").exists():
            lost.append(step)
    assert lost == []


def test_a_command_that_outlives_its_run_keeps_the_next_run_waiting(
    host: Host, run_daemon: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []

    def run_command(args: list[str], **_: t.Any) -> tuple[int, str, str]:
        held.append([os.path.samestat(os.fstat(each), host.units.stat()) for each in host.inherited])
        return done(args)

    done = host.run_command
    monkeypatch.setattr(host, "run_command", run_command)
    run_daemon(host.wanted())
    assert held.count([True]) == len(held) > 5
