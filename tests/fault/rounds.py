# SPDX-License-Identifier: MIT
"""A round: some drifts, then a check, a run and another run, with a look at all hosts before and after each."""

from __future__ import annotations

import dataclasses
import random
import typing as t

from tests.fault import drifts

if t.TYPE_CHECKING:
    from tests.fault.events import Events
    from tests.fault.ground import Ground, Looks

ROUNDS, DRIFTS = 20, 10  # of all cases, and in one round


@dataclasses.dataclass(frozen=True)
class Round:
    """Drifts, then a check, a run and another run; and what the hosts were before and after each of them."""

    drifts: list[drifts.Drift]
    foretold: Events
    done: Events
    again: Events
    clean: Looks
    drifted: Looks
    checked: Looks
    repaired: Looks
    rested: Looks


class Bare(t.NamedTuple):
    """The first check and the first run on hosts with nothing on them, and what the hosts were around the check."""

    before: Looks
    foretold: Events
    after: Looks
    done: Events


def seeds(seed: str, share: float) -> list[str]:
    """Of all rounds those that this share means, at least one; the same ones for the same seed."""
    number = max(1, round(ROUNDS * share))
    return [f"{seed}.{each}" for each in sorted(random.Random(seed).sample(range(ROUNDS), number))]  # noqa: S311


def play_round(ground: Ground, seed: str) -> Round:
    """The round of this seed, on a fleet that is provisioned."""
    chosen = drifts.choose(random.Random(seed), ground.inventory, DRIFTS)  # noqa: S311
    print(f"round {seed}: {drifts.describe(chosen)}")  # pytest shows it if a test fails
    looks = [ground.look()]
    for each in chosen:
        ground.run(each.host, each.script)
    looks.append(ground.look())
    foretold = ground.play("--check")
    looks.append(ground.look())
    done = ground.play()
    looks.append(ground.look())
    again = ground.play()
    return Round(chosen, foretold, done, again, *looks, ground.look())
