# SPDX-License-Identifier: MIT
"""Runs that change a part of a mesh on plain WireGuard, and what the other nodes notice of them."""

from __future__ import annotations

import concurrent.futures
import shutil
import typing as t

import pytest
import yaml
from live_peers import SHOW, begun_anew, python, read_peers
from test_wireguard import NODES, mesh, talks
from wire import Wire, new_connections
from world import run

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from live_peers import Peers
    from world import Fleet

__all__ = ["mesh"]  # a fixture

ONLY = ("--tags", "wireguard")  # without the proof and the services
STARTED = "systemctl show --property=ExecMainStartTimestampMonotonic wireguard-wm0.service"
# What Docker does to a host that forwarded nothing before.
DOCKER = """
table ip filter {
  chain DOCKER-USER {
  }
  chain FORWARD {
    type filter hook forward priority filter; policy drop;
    jump DOCKER-USER
  }
}
"""
LET_PASS = "".join(f"nft add rule ip filter DOCKER-USER {way} wm0 accept;" for way in ("iifname", "oifname"))
CLIENTS = [{"name": "watch"}]
SUBSETS = [
    ["nas"],
    ["edge"],
    ["mini-1", "mini-2"],
    ["hub", "laptop", "van"],
    [name for name in NODES if name != "edge"],
]


def on_all(mesh: Fleet, command: str, names: t.Sequence[str] = NODES) -> dict[str, str]:
    with concurrent.futures.ThreadPoolExecutor() as pool:
        said = pool.map(lambda name: mesh.host(name).run(command).stdout, names)
        return dict(zip(names, said, strict=True))


def peers(mesh: Fleet, names: t.Sequence[str] = NODES) -> dict[str, Peers]:
    return {name: read_peers(said) for name, said in on_all(mesh, python(SHOW), names).items()}


@pytest.fixture(scope="module")
def without_van(mesh: Fleet) -> Iterator[Path]:
    """An inventory in which that node is none."""
    data = yaml.safe_load(mesh.inventory.read_text(encoding="utf-8"))
    del data["all"]["children"]["nodes"]["hosts"]["van"]
    path = mesh.inventory.with_name("without-van.yml")
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    yield path
    path.unlink()


def test_a_node_that_joins_costs_each_other_one_call_and_no_session(mesh: Fleet, without_van: Path) -> None:
    others = [name for name in NODES if name != "van"]
    assert mesh.play("site.yml", *ONLY, inventory=without_van).status == 0
    before, started = peers(mesh, others), on_all(mesh, STARTED, others)
    wire = Wire(mesh.inventory.parents[1].name, others)
    with new_connections() as connections, wire.counting():
        wire.reset()
        play = mesh.play("site.yml", *ONLY, variables=connections)
        seen = {host: (each.calls, each.uploads) for host, each in wire.read().items()}
    after = peers(mesh, others)
    assert (play.status, {name: play.changed[name] for name in others}) == (0, dict.fromkeys(others, 1))
    assert seen == dict.fromkeys(others, (2, 0))  # one of them is the look that every run begins with
    assert on_all(mesh, STARTED, others) == started
    assert {name: begun_anew(before[name], after[name]) for name in others} == {name: [] for name in others}
    gained = {name: len(after[name]) - len(before[name]) for name in others}
    assert gained == {**dict.fromkeys(others, 0), "edge": 1, "hub": 1}  # by which all others reach it


@pytest.mark.parametrize("subset", SUBSETS, ids=lambda subset: f"{len(subset)} of them")
def test_a_change_with_a_limit_takes_no_peer_from_anybody(mesh: Fleet, subset: list[str]) -> None:
    before = peers(mesh)
    registry = (mesh.inventory.parent / "wireguard-registry.json").read_bytes()
    play = mesh.play("site.yml", *ONLY, "--limit", ",".join(subset), variables={"wireguard_mtu": 1330 + len(subset)})
    after = peers(mesh)
    assert (play.status, {name for name, number in play.changed.items() if number}) == (0, set(subset))
    assert {name: begun_anew(before[name], after[name]) for name in NODES} == {name: [] for name in NODES}
    assert {name: set(each) for name, each in after.items()} == {name: set(each) for name, each in before.items()}
    assert (mesh.inventory.parent / "wireguard-registry.json").read_bytes() == registry


def test_a_run_from_another_checkout_takes_no_peer_from_anybody(mesh: Fleet, tmp_path: Path) -> None:
    """Which has the secret, but knows nobody's key: the nodes do."""
    assert mesh.play("site.yml", *ONLY).status == 0  # all as the inventory has it
    for name in (mesh.inventory.name, "wireguard-secret"):
        shutil.copy2(mesh.inventory.with_name(name), tmp_path)
    before = peers(mesh)
    play = mesh.play("site.yml", *ONLY, "--limit", "nas,hub", inventory=tmp_path / mesh.inventory.name)
    after = peers(mesh)
    assert play.status == 0
    assert {name: set(each) for name, each in after.items()} == {name: set(each) for name, each in before.items()}
    registry = "wireguard-registry.json"
    assert (tmp_path / registry).read_bytes() == mesh.inventory.with_name(registry).read_bytes()


@pytest.fixture
def docker_at_edge(mesh: Fleet) -> Iterator[None]:
    """The first hub drops what it forwards."""
    assert run(mesh.host("edge"), f"nft -f - <<'THE_END'\n{DOCKER}\nTHE_END").rc == 0
    yield
    assert run(mesh.host("edge"), "nft delete table ip filter").rc == 0


@pytest.mark.usefixtures("docker_at_edge")
def test_a_hub_whose_firewall_forwards_nothing_is_named_with_the_way_out(mesh: Fleet) -> None:
    def said() -> str:
        play = mesh.play("site.yml", *ONLY, "--limit", "edge")
        assert play.status == 0
        return " ".join(play.output.split())

    assert not talks(mesh, "mini-1", "nas")
    assert "edge: its firewall drops by default what the host forwards (ip filter FORWARD)" in said()
    run(mesh.host("edge"), LET_PASS)
    assert talks(mesh, "mini-1", "nas")
    assert "its firewall drops" not in said()


@pytest.fixture
def edge_is_away(mesh: Fleet) -> Iterator[Path]:
    """An inventory in which nobody answers at the first hub's address."""
    data = yaml.safe_load(mesh.inventory.read_text(encoding="utf-8"))
    data["all"]["hosts"]["edge"]["ansible_host"] = "203.0.113.250"
    data["all"]["vars"] |= {"wireguard_clients": CLIENTS}
    path = mesh.inventory.with_name("edge-is-away.yml")
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    yield path
    path.unlink()
    shutil.rmtree(mesh.inventory.with_name("wireguard-clients"))


def test_a_client_that_is_made_while_a_hub_is_away_is_known_to_it_after_the_next_run(
    mesh: Fleet, edge_is_away: Path
) -> None:
    known = "grep --count ' watch.mesh.wm.test$' /etc/hosts"
    play = mesh.play("playbooks/wireguard_clients.yml", inventory=edge_is_away)
    made = (mesh.inventory.with_name("wireguard-clients") / "watch.conf").read_text(encoding="utf-8")
    assert (play.status, "edge.wm.test:51820" in made) == (4, True)  # Ansible's word for a host that was not reached
    assert on_all(mesh, known, ["edge", "hub", "nas"]) == {"edge": "0\n", "hub": "2\n", "nas": "2\n"}
    assert mesh.play("site.yml", *ONLY, variables={"wireguard_clients": CLIENTS}).status == 0
    assert on_all(mesh, known, ["edge"]) == {"edge": "2\n"}
    assert mesh.play("site.yml", *ONLY).status == 0  # without it again
