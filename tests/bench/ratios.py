# SPDX-License-Identifier: MIT
"""Figures of a benchmark, and the lines that they are printed as."""

from __future__ import annotations

import dataclasses
import math
import statistics
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE = 0.9


@dataclasses.dataclass(frozen=True)
class Ratio:
    """How much more one thing costs than another, from pairs that were measured one right after the other.

    Or what something takes, from as many runs of it; ``each`` is what they are called.
    """

    name: str
    pairs: Sequence[float]
    each: str = "pair"

    @property
    def median(self) -> float:
        return statistics.median(self.pairs)

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true median lies with at least 90 % confidence, by order statistics; of fewer than five pairs, all.

        Both ends are measured ratios. Nothing is assumed about how noise is distributed.
        """
        ordered, cut = sorted(self.pairs), 0
        while _coverage(len(ordered), cut + 1) >= CONFIDENCE:
            cut += 1
        return ordered[max(cut - 1, 0)], ordered[-max(cut, 1)]

    def __str__(self) -> str:
        low, high = self.interval
        count = len(self.pairs)
        what = "90 % of" if _coverage(count, 1) >= CONFIDENCE else "all of"
        return (
            f"{self.name} = {self.median:.2f}  # {low:.2f} to {high:.2f}, {what} {count} {self.each}"
            f"{'s' if count > 1 else ''}"
        )


@dataclasses.dataclass(frozen=True)
class Count:
    """A figure without noise, or one for information, in whole numbers."""

    name: str
    value: int
    note: str

    def __str__(self) -> str:
        return f"{self.name} = {self.value}  # {self.note}"


def _coverage(count: int, cut: int) -> float:
    """How likely the median lies between the ``cut``-th lowest and the ``cut``-th highest of so many samples."""
    below = sum(math.comb(count, each) for each in range(cut))
    return 1 - 2 * below / 2**count
