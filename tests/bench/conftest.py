# SPDX-License-Identifier: MIT
"""The fleet of the benchmark, and its figures at the end of what pytest says: one ``name = value`` a line."""

from __future__ import annotations

import os
import typing as t

import pytest

from tests.bench.ground import Ground

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAIRS = int(os.environ.get("WONDER_MESH_BENCH_PAIRS", "5"))
FIGURES = pytest.StashKey[list[object]]()


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Its hosts are made by who needs them bare."""
    fleet = Ground(tmp_path_factory.mktemp("bench"))
    fleet.prepare()
    yield fleet
    fleet.down()


@pytest.fixture(scope="session")
def figure(request: pytest.FixtureRequest) -> Callable[[object], None]:
    """Call ``figure(it)`` to have it printed at the end."""
    return request.config.stash.setdefault(FIGURES, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash.get(FIGURES, []):
        load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
        terminalreporter.section(f"figures (load {load}; docs/performance.md explains each)")
        for each in config.stash[FIGURES]:
            terminalreporter.write_line(str(each))
