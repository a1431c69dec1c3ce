# SPDX-License-Identifier: MIT
"""What may happen to a host behind our back, by random choice: drifts as scripts, and what a run may then touch."""

from __future__ import annotations

import dataclasses
import itertools
import json
import typing as t

if t.TYPE_CHECKING:
    import random

HEADSCALE, POLICY, REGISTRY = "Run Headscale", "Set the policy", "nodes | Give every node its tags and routes"
CADDY, TAILSCALED, NODE, PROBE = "Run Caddy", "node | Run tailscaled", "node | Join the mesh", "Answer probes"
# Scripts run in this order: those that ask daemons before those that stop them, and a node's name before it changes.
PHASES = ((REGISTRY, POLICY), (NODE,), (HEADSCALE, CADDY, TAILSCALED, PROBE))


@dataclasses.dataclass(frozen=True)
class Drift:
    """A script for one host, and the headers in the diff of one task: those that must be there, and that may be."""

    name: str
    host: str
    task: str
    script: str
    must: frozenset[str] = frozenset()
    may: frozenset[str] = frozenset()
    turn: int = 0  # among the scripts of one phase on one host


class Make(t.Protocol):
    def __call__(self, rng: random.Random, /) -> Drift: ...


class Slot(t.NamedTuple):
    """What may drift by itself: a place of a host, such as a path, and how. What is gone takes all below it along."""

    host: str
    place: str
    make: Make
    gone: bool = False


def choose(rng: random.Random, slots: t.Sequence[Slot], number: int) -> list[Drift]:
    """So many drifts of which none undoes another."""
    chosen: list[Slot] = []
    for slot in rng.sample(slots, len(slots)):
        if len(chosen) < number and not any(_meet(slot, other) or _meet(other, slot) for other in chosen):
            chosen.append(slot)
    if len(chosen) < number:
        raise ValueError(f"{number} drifts are more than the {len(chosen)} that fit into these slots")
    return [slot.make(rng) for slot in chosen]


def _meet(one: Slot, other: Slot) -> bool:
    below = other.place == one.place or other.place.startswith(f"{one.place}/")
    return one.gone and one.host == other.host and below


def scripts(drifts: t.Iterable[Drift]) -> list[dict[str, str]]:
    """For each phase, one script for each host. It ends at the first drift that does not work, and names it."""
    phases = []
    for tasks in PHASES:
        chosen = sorted((each for each in drifts if each.task in tasks), key=lambda each: (each.host, each.turn))
        grouped = itertools.groupby(chosen, key=lambda each: each.host)
        phases.append({host: "".join(map(_guarded, group)) for host, group in grouped})
    return phases


def _guarded(drift: Drift) -> str:
    return f"(\n{drift.script}\n) || {{ echo {json.dumps(drift.name)} >&2; exit 1; }}\n"


def describe(drifts: t.Iterable[Drift]) -> str:
    return json.dumps(sorted(f"{each.host}: {each.name}" for each in drifts), indent=1)
