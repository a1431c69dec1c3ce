# SPDX-License-Identifier: MIT
"""A reload of the coordinator's Caddy cuts nobody off, neither at once nor when nothing is said for a while."""

from __future__ import annotations

import time
import typing as t

from world import streams

if t.TYPE_CHECKING:
    from world import Fleet, Reloads

NODES = 5
PER_NODE = 2  # one to the control plane, one to its relay
QUIET_SECONDS = 180


def test_the_coordinators_caddy_takes_twenty_reloads(reloads: Reloads) -> None:
    assert reloads.status == 0


def test_each_node_had_its_streams_before(reloads: Reloads) -> None:
    assert len(reloads.before) >= NODES * PER_NODE


def test_three_minutes_later_all_streams_are_the_same(demo: Fleet, reloads: Reloads) -> None:
    time.sleep(max(0.0, reloads.over + QUIET_SECONDS - time.monotonic()))
    assert reloads.before - streams(demo) == set()
