# SPDX-License-Identifier: MIT
"""What peer tables cost, in CPU seconds, beside wg-meshconf in the same run. Figures are printed one a line.

Ours counts from the inventory to the tables: reading, all checks, addresses and rows, without files, since they go to
hosts as arguments. Of wg-meshconf all of its genconfig counts, since it has no tables without files.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.filter.wireguard_peers import wireguard_peers
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_mesh import Reader
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_plain import as_plain
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_secret import preshared_keys
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_tables import Plan
from tests.bench.tables import World, cpu, run_rival

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = bytes(range(32))
MANY = 1000
ADDED = 10


@pytest.fixture(autouse=True)
def no_collection() -> Iterator[None]:
    """As timeit does: when the garbage collector runs is chance."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> t.Callable[[str, float], None]:
    def show(name: str, value: float) -> None:
        with capsys.disabled():
            print(f"\n{name} = {value:.4g}", flush=True)

    return show


def build(world: World) -> int:
    """All tables, one after the other; how many peers they have together."""
    return sum(len(table["peers"]) for table in Plan(world.read()).tables())


def configuration(text: str) -> set[tuple[str, str, str]]:
    """Public key, endpoint and allowed IPs of each peer in a file of wg-quick."""
    found = set()
    for section in text.split("[Peer]")[1:]:
        lines = dict(line.split(" = ", 1) for line in section.splitlines() if " = " in line)
        found.add((lines["PublicKey"], lines["Endpoint"], lines["AllowedIPs"]))
    return found


def test_tables_of_a_full_mesh_cost_a_fraction_of_those_of_wg_meshconf(
    tmp_path: Path, show: t.Callable[[str, float], None]
) -> None:
    world = World(MANY, MANY, "full")
    mesh = world.read()
    rival = run_rival(mesh, tmp_path)
    seconds, count = cpu(lambda: build(world))
    assert count == MANY * (MANY - 1)
    show("tables_seconds", seconds)
    show("tables_rival_seconds", rival["cpu"])
    show("tables_ratio", rival["cpu"] / seconds)
    fact = as_plain(mesh)
    for name in world.names[::250]:  # it says the same as ours, so both did the same work
        ours = wireguard_peers(fact, name, rival["keys"])
        theirs = configuration((tmp_path / "configurations" / f"{name}.conf").read_text(encoding="utf-8"))
        assert {(p["public_key"], p["endpoint"], ", ".join(p["allowed_ips"])) for p in ours["peers"]} == theirs
    assert rival["cpu"] / seconds >= 150


def test_a_key_for_each_pair_of_a_thousand(show: t.Callable[[str, float], None]) -> None:
    world = World(MANY, MANY, "full")

    def keys() -> int:
        plan, count = Plan(world.read()), 0
        for table in plan.tables():
            own = plan.mesh.nodes[table["name"]].public_key or ""
            count += len(preshared_keys(SECRET, own, [peer["public_key"] for peer in table["peers"]]))
        return count

    seconds, count = cpu(keys)
    assert count == MANY * (MANY - 1)
    show("tables_with_preshared_keys_seconds", seconds)
    assert seconds <= 2


def test_ten_thousand_spokes(show: t.Callable[[str, float], None]) -> None:
    world = World(10_000, 2, "hub", 2)
    seconds, count = cpu(lambda: build(world))
    assert count == 2 * 9_999 + 2 * 9_998
    show("tables_10000_spokes_seconds", seconds)
    assert seconds <= 2


@pytest.mark.parametrize(("topology", "public", "hubs"), [("full", 100 + ADDED, 0), ("auto", 10, 2)])
def test_a_node_more_costs_a_fraction_of_a_build(
    topology: str, public: int, hubs: int, show: t.Callable[[str, float], None]
) -> None:
    """Each of ten is read, checked, and given to whoever has it as a peer, after a build of a hundred."""
    world = World(100 + ADDED, public, topology, hubs)

    def once() -> tuple[float, float]:
        started = time.process_time()
        reader = Reader(world.inventory, world.registry, Problems())
        reader.read(world.hosts[name] for name in world.names[:100])
        mesh = reader.mesh()
        assert mesh is not None
        plan = Plan(mesh)
        built = list(plan.tables())
        between = time.process_time()
        for name in world.names[100:]:
            reader.read([world.hosts[name]])
            mesh = reader.mesh()
            assert mesh is not None
            plan.add(mesh.nodes[name])
            plan.table(name)
            gained = sum(1 for _ in plan.viewers(name))
            assert gained >= min(len(built), public)
        return between - started, (time.process_time() - between) / ADDED

    runs = [once() for _ in range(9)]
    share = min(added for _, added in runs) / min(full for full, _ in runs)
    show(f"tables_{topology}_added_node_share", share)
    assert share <= 0.05


def test_memory_grows_as_the_mesh_does(show: t.Callable[[str, float], None]) -> None:
    def peak(count: int) -> int:
        world = World(count, count, "full")
        tracemalloc.start()
        build(world)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    small, large = peak(MANY // 2), peak(MANY)
    show("tables_memory_megabytes", large / 1e6)
    show("tables_memory_growth_when_doubled", large / small)
    assert large <= 2.3 * small


def test_the_table_of_one_host(show: t.Callable[[str, float], None]) -> None:
    """What a task pays for its one host, from the plain data of the facts."""
    fact = as_plain(World(MANY, MANY, "full").read())
    seconds, table = cpu(lambda: wireguard_peers(fact, "node-00500"), 9)
    assert len(table["peers"]) == MANY - 1
    show("tables_one_host_milliseconds", seconds * 1000)
    assert seconds <= 0.1
