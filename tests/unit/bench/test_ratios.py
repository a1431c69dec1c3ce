# SPDX-License-Identifier: MIT
"""How the benchmark turns pairs into a figure."""

from __future__ import annotations

import tomllib

import pytest

from tests.bench.ratios import Count, Ratio


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [
        (1, 1, 1),
        (4, 1, 4),  # between the ends of four lies the median in 87.5 % of cases; there is no 90 % interval
        (5, 1, 5),  # 93.75 %
        (7, 1, 7),  # the second and the sixth: 87.5 %
        (8, 2, 7),  # 93.0 %
        (20, 6, 15),  # 95.9 %; the seventh and the fourteenth: 88.5 %
    ],
)
def test_the_interval_holds_the_median_with_90_percent(count: int, low: int, high: int) -> None:
    assert Ratio("x", [float(each) for each in range(count, 0, -1)]).interval == (low, high)


def test_a_figure_is_the_median_of_its_pairs() -> None:
    assert Ratio("x", [9.0, 1.0, 2.0]).median == 2.0


def test_the_printed_lines_are_names_and_values() -> None:
    lines = [str(Ratio("ratio", [2.0, 3.0, 5.0, 4.0, 1.0])), str(Count("bytes", 291152, "to one host"))]
    assert tomllib.loads("\n".join(lines)) == {"ratio": 3.0, "bytes": 291152}


def test_a_ratio_says_how_sure_it_is() -> None:
    assert str(Ratio("ratio", [2.0, 3.0, 5.0, 4.0, 1.0])) == "ratio = 3.00  # 1.00 to 5.00, 90 % of 5 pairs"
