# SPDX-License-Identifier: MIT
"""A round: many drifts at once, then a check and a run, with a look at all hosts before and after each."""

from __future__ import annotations

import dataclasses
import math
import random
import typing as t

from tests.fault import drifts
from tests.fault.mesh_drifts import all_slots

if t.TYPE_CHECKING:
    from tests.fault.events import Events
    from tests.fault.ground import Ground, Looks

CASES, LEAST = 1000, 200  # drifts in all, and in the smallest share
DRIFTS = 100  # in one round


@dataclasses.dataclass(frozen=True)
class Round:
    """Drifts, then a check and a run; and what the hosts were before and after each of them."""

    drifts: list[drifts.Drift]
    foretold: Events
    done: Events
    clean: Looks
    drifted: Looks
    checked: Looks
    repaired: Looks


class Bare(t.NamedTuple):
    """The first check and the first run on hosts with nothing on them, and what the hosts were around the check."""

    before: Looks
    foretold: Events
    after: Looks
    done: Events


class Rest(t.NamedTuple):
    """A run when nothing has drifted, and what the hosts were around it."""

    before: Looks
    done: Events
    after: Looks


def seeds(seed: str, share: float) -> list[str]:
    """Of all rounds those that this share means; the same ones for the same seed."""
    number = math.ceil(max(LEAST, CASES * share) / DRIFTS)
    return [f"{seed}.{each}" for each in sorted(random.Random(seed).sample(range(CASES // DRIFTS), number))]  # noqa: S311


def choose(seed: str, inventory: dict[str, t.Any]) -> list[drifts.Drift]:
    return drifts.choose(random.Random(seed), all_slots(inventory), DRIFTS)  # noqa: S311


def play_round(ground: Ground, seed: str) -> Round:
    """The round of this seed, on a fleet that is provisioned."""
    chosen = choose(seed, ground.inventory)
    print(f"round {seed}: {drifts.describe(chosen)}")  # pytest shows it if a test fails
    looks = [ground.look()]
    for scripts in drifts.scripts(chosen):
        ground.run_all(scripts)
    looks.append(ground.look())
    foretold = ground.play("--check")
    looks.append(ground.look())
    done = ground.play()
    return Round(chosen, foretold, done, *looks, ground.look())
