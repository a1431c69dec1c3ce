# SPDX-License-Identifier: MIT
"""A fleet of its own, and rounds of drifts on it.

WONDER_MESH_FAULT_SHARE is the share of all cases to run (default 0.1), WONDER_MESH_FAULT_SEED chooses which.
"""

from __future__ import annotations

import os
import typing as t

import pytest

from tests.fault.ground import Ground
from tests.fault.rounds import Bare, Round, play_round, seeds

if t.TYPE_CHECKING:
    from collections.abc import Iterator

SHARE = float(os.environ.get("WONDER_MESH_FAULT_SHARE", "0.1"))
SEED = os.environ.get("WONDER_MESH_FAULT_SEED", "1")


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Bare hosts, made anew."""
    fleet = Ground(tmp_path_factory.mktemp("ground"))
    fleet.down()
    fleet.up()
    yield fleet
    fleet.down()


@pytest.fixture(scope="session")
def bare(ground: Ground) -> Bare:
    before = ground.look()
    foretold = ground.play("--check", playbooks=["site.yml"])
    return Bare(before, foretold, ground.look(), ground.play())


@pytest.fixture(scope="session", params=seeds(SEED, SHARE))
def drifted(request: pytest.FixtureRequest, ground: Ground, bare: Bare) -> Round:
    """One round; the seed in the name of a failed test repeats it."""
    assert bare.done
    return play_round(ground, request.param)
