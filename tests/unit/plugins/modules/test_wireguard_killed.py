# SPDX-License-Identifier: MIT
"""``wireguard_interface`` killed at every single step, and then run again."""

from __future__ import annotations

import typing as t

import pytest

from tests.unit.plugins.modules.test_daemon_killed import differences
from tests.unit.plugins.modules.wireguard_host import WireGuardHost, peer, table

if t.TYPE_CHECKING:
    from tests.unit.plugins.modules.daemon_host import Run
    from tests.unit.plugins.modules.moments import Moments

    Wanted = dict[str, t.Any]

HOST = WireGuardHost
OWN: Wanted = {"table": table(port=51821, addresses=["10.77.0.10/32"], extra_ports=[123])}
PEERS: Wanted = {"table": table(peer("hub-1", 1), peer("mini", 3))}
BAD: Wanted = {"table": table(mtu=666)}
GONE: Wanted = {"state": "absent"}
ALL_GONE: Wanted = {"state": "absent", "remove_data": True}
NEW_KEY: Wanted = {"table": None, "regenerate": True}
# What is there before, what the killed run wants, what the next one wants.
STORIES: dict[str, tuple[Wanted | None, Wanted, Wanted]] = {
    "the key": (None, {"table": None}, {"table": None}),
    "install": (None, {}, {}),
    "other peers": ({}, PEERS, PEERS),
    "another port and address": ({}, OWN, OWN),
    "change that is given up": ({}, OWN, {}),
    "change that fails": ({}, BAD, BAD),
    "change that fails and is given up": ({}, BAD, {}),
    "a new key": ({}, NEW_KEY, {}),
    "other names that are given up": ({}, {"names": {"x.test": ["10.77.0.3"]}}, {}),
    "absent": ({}, GONE, GONE),
    "absent with its key": ({}, ALL_GONE, ALL_GONE),
    "install that is taken away": (None, {}, ALL_GONE),
}


def arguments(host: WireGuardHost, wanted: Wanted) -> Wanted:
    return wanted if "state" in wanted else host.wanted(**wanted)


def prepare(host: WireGuardHost, run_interface: Run, before: Wanted | None) -> None:
    host.reset()
    if before is not None:
        made = run_interface(host.wanted(**before))
        assert not made["failed"], made


def expected(host: WireGuardHost, run_interface: Run, before: Wanted | None, then: Wanted) -> dict[str, t.Any]:
    """What an undisturbed run leaves."""
    prepare(host, run_interface, before)
    run_interface(arguments(host, then))
    return host.snapshot()


@pytest.mark.parametrize("story", STORIES)
def test_the_next_run_ends_in_the_same_bytes(
    host: WireGuardHost, moments: Moments, run_interface: Run, story: str
) -> None:
    before, disturbed, then = STORIES[story]
    wanted = expected(host, run_interface, before, then)
    prepare(host, run_interface, before)
    key = host.secret()
    states = moments.record(host, lambda: run_interface(arguments(host, disturbed)))
    assert len(states) > 3
    problems: list[str] = []
    for step, state in states:
        state.restore(host)
        if key and disturbed not in (NEW_KEY, ALL_GONE) and host.secret() != key:
            problems.append(f"killed before {step}: the key is another")
        run_interface(arguments(host, then))
        problems += [f"killed before {step}: {each}" for each in differences(host.snapshot(), wanted)]
    assert not problems, "\n".join(problems).replace(str(host.root), "")


def test_a_kill_leaves_no_key_that_others_can_read(host: WireGuardHost, moments: Moments, run_interface: Run) -> None:
    prepare(host, run_interface, None)
    states = moments.record(host, lambda: run_interface(host.wanted()))
    readable = []
    for step, state in states:
        state.restore(host)
        for path in (host.root / "etc" / "wonder-mesh").rglob("*wm0.key*"):
            if path.stat().st_mode & 0o077:
                readable.append(step)
    assert readable == []
