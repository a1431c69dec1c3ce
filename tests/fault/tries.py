# SPDX-License-Identifier: MIT
"""Changes that a controller makes through the mesh to what carries it, by seeded choice."""

from __future__ import annotations

import dataclasses
import random

HOSTS = ("tun", "tunless")
SERVER = "vps"
# Of one host. Those that work, and those that cut the controller off in one way or another.
KEPT = ("new bytes", "another port", "another preference")
TAKEN_BACK = ("another name", "a program that ends at once", "a program that carries nothing")
# Of both hosts at once.
KILLED, POLICY = "the controller is killed", "a policy without SSH"
TIMES = 3  # that each change is tried on each host
POLICIES = 4


@dataclasses.dataclass(frozen=True)
class Try:
    """One run: what it changes on each host. ``number`` tells its changes from those of all others."""

    number: int
    changes: dict[str, str]

    @property
    def is_policy(self) -> bool:
        return POLICY in self.changes.values()

    @property
    def is_killed(self) -> bool:
        return KILLED in self.changes.values()

    @property
    def kept(self) -> list[str]:
        """The hosts that must have the new state in the end."""
        return [host for host, change in self.changes.items() if change in KEPT]

    @property
    def taken_back(self) -> list[str]:
        """The hosts that must have the old state in the end."""
        return [host for host, change in self.changes.items() if change in (*TAKEN_BACK, POLICY)]

    def __str__(self) -> str:
        return ", ".join(f"{host}: {change}" for host, change in self.changes.items())


def choose(seed: str, share: float) -> list[Try]:
    """Of 25 runs with two tries each those that this share means, at least two; the same ones for the same seed."""
    rng = random.Random(seed)  # noqa: S311
    columns = [rng.sample([*KEPT, *TAKEN_BACK] * TIMES, len([*KEPT, *TAKEN_BACK]) * TIMES) for _host in HOSTS]
    pairs = [*zip(*columns, strict=True), *[(KILLED, KILLED)] * TIMES, *[(POLICY, POLICY)] * POLICIES]
    rng.shuffle(pairs)
    tries = [Try(number, dict(zip(HOSTS, pair, strict=True))) for number, pair in enumerate(pairs)]
    return tries[: max(2, round(len(tries) * share))]
