# SPDX-License-Identifier: MIT
"""How far one controller goes: what a host more costs it, by two fleets of which one has ten boxes more."""

from __future__ import annotations

import typing as t

import pytest
import yaml

from tests.bench.ground import Ground
from tests.bench.memory import Memory, watched
from tests.bench.meter import group_of
from tests.bench.ratios import Count

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.meter import Cost

FEW, MANY = 2, 12
MINUTE = 60.0
FORK_MIB = 64  # a fork that takes more has copied what it should share


class Sized(t.NamedTuple):
    """A fleet's size in nodes, its first run, and one that changes nothing, with the memory that this took."""

    nodes: int
    first: Cost
    again: Cost
    memory: Memory


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sized, Sized]:
    """Both, one after the other."""
    return sized(tmp_path_factory, FEW), sized(tmp_path_factory, MANY)


def sized(tmp_path_factory: pytest.TempPathFactory, boxes: int) -> Sized:
    work = tmp_path_factory.mktemp("scale")
    topology = work / f"{boxes}.yml"
    hosts = {f"box-{number}": {"groups": ["nodes"]} for number in range(1, boxes + 1)}
    vps = {"groups": ["coordinator", "gateways", "nodes"]}
    data = {"domain": "wm.test", "vars": {"mesh_domain": "mesh.wm.test"}, "public": {"vps": vps}}
    topology.write_text(yaml.safe_dump(data | {"homes": {"flat": {"nat": "easy", "hosts": hosts}}}), encoding="utf-8")
    ground = Ground(work, str(topology))
    ground.prepare()
    try:
        ground.bare()
        first = ground.ours()
        with watched(group_of()) as memory:
            again = ground.ours()
    finally:
        ground.down()
    print(f"{boxes + 1} nodes: first {first}; again {again}; {memory.main:.0f} MiB, {memory.fork:.0f} a fork")
    return Sized(boxes + 1, first, again, memory)


def test_a_host_more_costs_the_controller_little(sizes: tuple[Sized, Sized], figure: Callable[[object], None]) -> None:
    few, many = sizes
    for name, which in (("first", "first"), ("noop", "again")):
        less, more = (t.cast("Cost", getattr(each, which)) for each in (few, many))
        each = (more.controller - less.controller) / (many.nodes - few.nodes)
        figure(Count(f"{name}_host_ms", round(each * 1000), "of the controller's CPU for each host more"))
        figure(Count(f"{name}_hosts_per_minute", round(MINUTE / each), "that one core of the controller would do"))
        assert less.controller < more.controller < less.controller * many.nodes / few.nodes


def test_a_fork_shares_most_of_its_memory(sizes: tuple[Sized, Sized], figure: Callable[[object], None]) -> None:
    few, many = (each.memory for each in sizes)
    figure(
        Count("main_mib", round(many.main), f"of Ansible itself with {MANY + 1} nodes; {few.main:.0f} with {FEW + 1}")
    )
    figure(Count("fork_mib", round(many.fork), f"of its own, of the largest fork; {many.forks} at once"))
    assert many.forks > few.forks
    assert many.fork < FORK_MIB
