# SPDX-License-Identifier: MIT
"""Runs on a host of the fleet, with the standard library: which points a run has, and what is wrong after a kill."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    import look
    import trap

# Of what happens very often in one run (a program is written in pieces, a unit is asked again), some is enough.
OFTEN = 3


# What useradd and userdel keep of the last state, and their locks, which they take over from one that was killed; and
# what Ansible itself leaves when it is killed, on the host (a module's wrapper) and on the controller (its uploads).
RESIDUE = re.compile(
    r"/etc/((passwd|group|shadow|gshadow|subuid|subgid)(-|\+|\.lock|\.\d+)|\.pwd\.lock)|/tmp/ansible[^/]*(/.*)?"
    rf"|{re.escape(str(Path('~root').expanduser()))}/\.ansible/tmp/.*"
)


def is_residue(path: str) -> bool:
    """Whether a file is one that a killed run may leave, since it is not ours and harms nobody."""
    return RESIDUE.fullmatch(path) is not None


def candidates(events: list[trap.Event]) -> list[tuple[str, int, str]]:
    """The points of a run: every event, and where a command starts also the death of the module alone."""
    labels = [str(each) for each in events]
    found = []
    for event, label in zip(events, labels, strict=True):
        number = labels.count(label)
        times = range(1, number + 1) if number <= OFTEN else (1, 2, number // 2)
        for occurrence in times:
            found.append((label, occurrence, "all"))
            if event.call == "execve":
                found.append((label, occurrence, "alone"))
    return sorted(set(found))


def problem(outcome: trap.Outcome) -> str:
    """Why an undisturbed run counts as failed; empty when it does not."""
    try:
        answer = json.loads(outcome.said.decode().strip().splitlines()[-1])
    except (IndexError, ValueError):
        return f"status {outcome.status}, and it said {outcome.said[-1500:].decode(errors='replace')}"
    if outcome.status != 0 or answer.get("failed") or answer.get("missing"):
        return f"status {outcome.status}: {answer.get('msg') or answer}"[:1500]
    return ""


def differences(wanted: look.Seen, found: look.Seen) -> list[str]:
    return [
        f"{name}: {wanted.get(name)} -> {found.get(name)}"
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name) != found.get(name)
    ]


def torn(before: look.Seen, between: look.Seen, after: look.Seen) -> list[str]:
    """Files that are at the moment of the kill neither what they were nor what they become. What lies beside them, and
    what a run remembers of itself, is nothing that a daemon reads."""
    torn = []
    for name, seen in between.items():
        if not name.startswith(("file /etc", "file /usr")) or name.endswith((".wonder-mesh", ".lock")):
            continue
        contents = [each[name][3:] for each in (before, after) if name in each]
        if seen[3:] and seen[3:] not in contents:
            torn.append(f"{name}: {seen}")
    return torn


def runs(state: list[str]) -> bool:
    return any(line in ("ActiveState=active", "ActiveState=activating", "ActiveState=reloading") for line in state)


def runs_in(seen: look.Seen) -> bool:
    return any(runs(state) for name, state in seen.items() if name.startswith("unit "))
