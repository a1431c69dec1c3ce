# SPDX-License-Identifier: MIT
"""The demo's world on plain WireGuard, with the same services and the same proof, and no control plane.

Its homes are behind an easy NAT, a hard one, a carrier's, and a firewall that lets out UDP 53 and 123 only; all have
the same network. Two public hosts are hubs.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import time
import typing as t

import pytest
import yaml
from wire import Wire, new_connections
from world import DEMO, ROOT, run

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from world import Fleet

NODES = ["edge", "hub", "laptop", "mini-1", "mini-2", "nas", "van"]
PAIRS = list(itertools.permutations(NODES, 2))
HUBS = {"edge", "hub"}
AT_HOME = {"mini-1", "mini-2"}
PROBE_PORT = 7733
BACK_WITHIN = 30  # seconds after which pairs must talk again when a hub is gone
INTERFACE = "wm0"
STOP, START = (f"systemctl {verb} wireguard-{INTERFACE}.service" for verb in ("stop", "start"))


@pytest.fixture(scope="module")
def mesh(fleet: t.Callable[[str], Fleet]) -> Fleet:
    return fleet("demo-wireguard")


def direct(source: str, target: str) -> bool:
    """Whether one of the two can call the other: a hub, or a neighbour at home."""
    return bool(HUBS & {source, target}) or {source, target} == AT_HOME


def talks(mesh: Fleet, source: str, target: str) -> bool:
    return mesh.connects(source, mesh.address(target), PROBE_PORT)


def test_no_promise_is_broken(mesh: Fleet) -> None:
    assert (mesh.result["ok"], mesh.result["problems"]) == (True, [])


def test_it_is_what_the_demo_shows_with_this_backend(mesh: Fleet) -> None:
    command = [DEMO, "inventory", "--backend", "wireguard"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert said.stdout.strip() == str(mesh.inventory)


def test_status_proves_it_again(mesh: Fleet) -> None:
    status, output = mesh.status()
    assert (status, json.loads(output)["ok"]) == (0, True)


def test_all_homes_have_the_same_network(mesh: Fleet) -> None:
    shown = {name: run(mesh.host(name), "ip -4 -o addr show eth0").stdout for name in NODES if name not in HUBS}
    assert {name for name, text in shown.items() if " 192.168.1." in text} == set(NODES) - HUBS


def test_all_42_ordered_pairs_carry_bytes(mesh: Fleet) -> None:
    assert sorted((path["from"], path["to"]) for path in mesh.result["paths"] if path["ok"]) == sorted(PAIRS)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_path_is_as_predicted(mesh: Fleet, source: str, target: str) -> None:
    path = next(each for each in mesh.result["paths"] if (each["from"], each["to"]) == (source, target))
    expected = "direct" if direct(source, target) else "hub"
    assert (path["predicted"], path["observed"]) == (expected, expected)


def test_the_services_are_those_of_the_demo(mesh: Fleet) -> None:
    demo = yaml.safe_load((ROOT / "fleet/topologies/demo.yml").read_text(encoding="utf-8"))
    hosts = [host for home in demo["homes"].values() for host in home["hosts"].values()]
    wanted = {service["name"] for host in hosts for service in host.get("services", ())}
    assert {each["name"] for each in mesh.result["services"] if each["ok"]} == wanted


@pytest.mark.parametrize(("service", "nodes"), [("hello", {"mini-1", "nas"}), ("tunless", {"mini-2"})])
def test_a_stranger_gets_the_page_of_a_node(mesh: Fleet, service: str, nodes: set[str]) -> None:
    page = run(mesh.host("stranger"), f"curl --silent --fail --max-time 10 https://{service}.wm.test/").stdout
    assert [node for node in nodes if node in page]


def test_every_refusal_is_measured_and_kept(mesh: Fleet) -> None:
    refusals = mesh.result["refusals"]
    assert len(refusals) > len(PAIRS)
    assert {each["ok"] for each in refusals} == {True}


@pytest.mark.parametrize(("source", "target"), [("mini-1", "nas"), ("mini-1", "mini-2"), ("edge", "van")])
def test_a_node_that_nothing_allows_does_not_open_ssh(mesh: Fleet, source: str, target: str) -> None:
    reached = [mesh.connects(source, mesh.address(target), port) for port in (PROBE_PORT, 22)]
    assert reached == [True, False]


def test_a_node_reaches_another_by_its_name(mesh: Fleet) -> None:
    assert mesh.connects("van", "nas.mesh.wm.test", PROBE_PORT)


@pytest.mark.parametrize("name", [*NODES, "stranger"])
def test_no_unit_of_a_host_has_failed(mesh: Fleet, name: str) -> None:
    assert run(mesh.host(name), "timeout 20 systemctl list-units --failed --plain --no-legend").stdout == ""


def test_no_private_key_is_readable_or_left_on_the_controller(mesh: Fleet) -> None:
    listed = run(mesh.host("nas"), "find /etc/wonder-mesh -type f -name '*.key' -printf '%m %u %p\\n'").stdout
    assert re.fullmatch(r"600 root /etc/wonder-mesh/wireguard/wm0\.key\n", listed)
    assert {path.name for path in mesh.inventory.parent.iterdir()} >= {"wireguard-registry.json", "wireguard-secret"}
    assert (mesh.inventory.parent / "wireguard-secret").stat().st_mode & 0o777 == 0o600


def test_a_second_run_changes_nothing_on_any_host(mesh: Fleet, own_result: dict[str, str]) -> None:
    play = mesh.play("site.yml", variables=own_result)
    assert (play.status, set(play.changed.values())) == (0, {0})


def test_a_run_that_changes_nothing_makes_few_calls(mesh: Fleet, own_result: dict[str, str], tmp_path: Path) -> None:
    """As counted by the hosts: one look and the proof; a stranger is not looked at."""
    search = tmp_path / "search.yml"
    search.write_text(json.dumps({"all": {"vars": {"ansible_python_interpreter": "auto_silent"}}}), encoding="utf-8")
    wire = Wire(mesh.inventory.parents[1].name, [*NODES, "stranger"])
    with new_connections() as connections, wire.counting():
        wire.reset()
        play = mesh.play("site.yml", "--inventory", str(search), variables={**own_result, **connections})
        seen = {host: (each.calls, each.uploads) for host, each in wire.read().items()}
    assert play.status == 0
    assert seen == {**dict.fromkeys(NODES, (2, 0)), "stranger": (1, 0)}


def test_a_run_limited_to_one_node_loses_nobody_s_peer(mesh: Fleet, own_result: dict[str, str]) -> None:
    registry = (mesh.inventory.parent / "wireguard-registry.json").read_bytes()
    play = mesh.play("site.yml", "--limit", "nas", variables=own_result)
    assert (play.status, play.changed["nas"]) == (0, 0)
    assert (mesh.inventory.parent / "wireguard-registry.json").read_bytes() == registry


@pytest.fixture
def without_edge(mesh: Fleet) -> Iterator[float]:
    """The first hub is stopped, since then (monotonic seconds)."""
    assert run(mesh.host("edge"), STOP).rc == 0
    yield time.monotonic()
    assert run(mesh.host("edge"), START).rc == 0


def test_without_its_first_hub_every_pair_talks_again_by_the_second(mesh: Fleet, without_edge: float) -> None:
    left = {(source, target) for source, target in PAIRS if "edge" not in (source, target)}
    while left and time.monotonic() - without_edge < BACK_WITHIN:
        left -= {pair for pair in left if talks(mesh, *pair)}
    assert left == set()


def test_when_the_hub_is_back_every_pair_talks_and_a_run_finds_no_drift(
    mesh: Fleet, own_result: dict[str, str]
) -> None:
    time.sleep(BACK_WITHIN)
    play = mesh.play("site.yml", variables=own_result)
    assert (play.status, set(play.changed.values())) == (0, {0})
