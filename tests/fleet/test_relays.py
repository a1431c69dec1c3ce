# SPDX-License-Identifier: MIT
"""Relays let in the mesh and nobody else, and carry it when one of them, or its coordinator, is gone."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import json
import re
import time
import typing as t
from pathlib import Path

import pytest
import yaml
from relay_world import (
    COORDINATOR,
    HIDDEN,
    NODES,
    RELAYS,
    Client,
    heard,
    homes,
    pins,
    policy_without,
    reach,
    regions,
)
from world import run, wait_until

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from world import Fleet, Play

TOPOLOGY = str(Path(__file__).with_name("relays.yml"))
PROBE_RULE, RELAY_RULE = "tcp:7733", "icmp:*"
TOGETHER_SECONDS = 10  # after one of two relays was stopped
OUTLIVE_SECONDS = 60  # after all hosts but the coordinator were told to reboot
OUT_SECONDS = 30  # after a node was removed
HOLD_SECONDS = 300  # more than OUT_SECONDS and the run that removes it
SETTLE_SECONDS = 5  # until all peers have heard of a node's home
BACK_SECONDS = 90  # until nodes have found a coordinator again that was away
PAGE = "timeout 10 curl --silent --output /dev/null --write-out '%{http_code}' https://hello.wm.test/"
SHORT_CERTIFICATE = r"""
cd /etc/derper && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
  -subj /CN=203.0.113.77 -addext subjectAltName=IP:203.0.113.77 -keyout key -out certificate \
  && cat certificate key >203.0.113.77.pem && rm key certificate
"""
REBOOT = "setsid sh -c 'sleep 0.2; systemctl reboot' >/dev/null 2>&1 &"
BOOT = "cat /proc/sys/kernel/random/boot_id"


@pytest.fixture(scope="module")
def mesh(fleet: Callable[[str], Fleet]) -> Fleet:
    return fleet(TOPOLOGY)


@pytest.fixture(scope="module")
def client(mesh: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(mesh, tmp_path_factory.mktemp("client"))


def test_the_mesh_keeps_its_promises(mesh: Fleet) -> None:
    assert mesh.result["problems"] == []
    observed = {(path["from"], path["to"]): path["observed"] for path in mesh.result["paths"]}
    assert observed[HIDDEN] == "relay"


def test_the_proof_tries_the_ports_of_the_relays_from_outside(mesh: Fleet) -> None:
    tried = {(each["name"], each["port"], each["protocol"]) for each in mesh.result["ports"] if each["ok"]}
    assert tried >= {("out", 443, "tcp"), ("vps", 8443, "tcp"), ("out", 3478, "stun"), ("vps", 3478, "stun")}


@pytest.mark.parametrize("node", HIDDEN)
def test_a_node_measures_both_relays(mesh: Fleet, node: str) -> None:
    report = json.loads(run(mesh.host(node), "timeout 30 tailscale netcheck --format json").stdout)
    numbers = {str(region["regionid"]) for region in regions(mesh).values()}
    assert (set(report["RegionLatency"]), report["UDP"]) == (numbers, True)


def test_the_coordinator_relays_no_more(mesh: Fleet) -> None:
    asked = run(mesh.host("stranger"), PAGE.replace("hello.wm.test/", "vps.wm.test/derp/probe"))
    assert asked.stdout == "404"


@pytest.mark.parametrize("relay", RELAYS)
def test_a_relay_is_locked_up_and_runs_as_its_own_user(mesh: Fleet, relay: str) -> None:
    host = mesh.host(relay)
    judged = run(host, "timeout 30 systemd-analyze security --no-pager derper.service").stdout
    (exposure,) = re.findall(r"Overall exposure level for derper\.service: ([\d.]+)", judged)
    assert float(exposure) <= 1.5
    assert run(host, "ps -o user= -C derper").stdout.split() == ["derper"]


def test_a_second_run_changes_nothing(mesh: Fleet) -> None:
    again = mesh.play("site.yml", "--skip-tags", "verify")
    assert (again.status, set(again.changed.values())) == (0, {0})


def test_a_stranger_with_a_key_of_its_own_is_refused_by_every_relay(client: Client) -> None:
    assert client.admitted() == dict.fromkeys(RELAYS, False)


def test_the_key_of_a_node_is_let_in_by_every_relay(client: Client) -> None:
    assert client.admitted("desk") == dict.fromkeys(RELAYS, True)


def test_a_relay_knows_every_node_without_the_rule_of_the_probe(mesh: Fleet, client: Client) -> None:
    with policy_without(mesh, PROBE_RULE, RELAY_RULE):  # without any rule, a relay comes not to know it
        wait_until(OUT_SECONDS, lambda: client.admitted("box") == dict.fromkeys(RELAYS, False))
    with policy_without(mesh, PROBE_RULE):
        wait_until(OUT_SECONDS, lambda: client.admitted("box") == dict.fromkeys(RELAYS, True))
        time.sleep(5)  # what all nodes are told has reached them by then
        assert client.admitted("box") == dict.fromkeys(RELAYS, True)


def test_when_the_home_relay_of_a_node_stops_every_pair_talks_again_in_time(mesh: Fleet) -> None:
    wait_until(OUT_SECONDS, lambda: "" not in homes(mesh).values())
    home = homes(mesh)["box"]
    assert run(mesh.host(home), "timeout 20 systemctl stop derper.service").rc == 0
    try:
        found = reach(mesh, NODES, 3 * TOGETHER_SECONDS)
    finally:
        run(mesh.host(home), "timeout 20 systemctl start derper.service")
    assert {pair: took for pair, took in found.items() if took > TOGETHER_SECONDS} == {}


def test_a_certificate_that_ends_soon_is_replaced_and_published(mesh: Fleet, client: Client) -> None:
    before = pins(mesh)
    assert run(mesh.host("out"), SHORT_CERTIFICATE).rc == 0
    renewed = mesh.play("site.yml", "--limit", "vps,out", "--skip-tags", "verify")
    assert renewed.status == 0
    assert pins(mesh).keys() == before.keys() == {"out"}
    assert pins(mesh) != before
    assert client.ask("out", "desk")["admitted"]


class Outlived(t.NamedTuple):
    """The mesh while its coordinator was stopped and all other hosts had rebooted; times from the order to reboot."""

    booted: float
    pairs: dict[tuple[str, str], float]
    page: str
    page_after: float
    stranger: dict[str, bool]
    member: dict[str, bool]


@pytest.fixture(scope="module")
def outlived(mesh: Fleet, client: Client) -> Iterator[Outlived]:
    others = [node for node in NODES if node != COORDINATOR]
    coordinator = mesh.host(COORDINATOR)
    boots = {name: run(mesh.host(name), BOOT).stdout for name in others}
    # A relay has got a new certificate, and the coordinator was restarted with it. A node that has yet to hear of that
    # would not reach that relay. And one whose home it was may take another, but tailscaled (1.102.5) remembers the old
    # one, where it would be after a reboot, and nobody would find it; starting it mends that.
    wait_until(BACK_SECONDS, lambda: heard(mesh))
    for name in NODES:
        run(mesh.host(name), "timeout 60 systemctl restart tailscaled.service")
    wait_until(BACK_SECONDS, lambda: "" not in homes(mesh, NODES).values())
    time.sleep(SETTLE_SECONDS)
    assert run(coordinator, "timeout 20 systemctl stop headscale.service").rc == 0
    try:
        # The node and the relay beside it start anew too, as if that host had rebooted.
        run(coordinator, "systemctl restart --no-block tailscaled.service derper.service")
        for name in others:
            run(mesh.host(name), REBOOT)
        since = time.monotonic()
        wait_until(OUTLIVE_SECONDS, lambda: all(has_rebooted(mesh, name, boots[name]) for name in others))
        booted = time.monotonic() - since
        took = reach(mesh, NODES, OUTLIVE_SECONDS - booted)
        pairs = {pair: each + booted for pair, each in took.items()}
        page = run(mesh.host("stranger"), PAGE).stdout
        yield Outlived(booted, pairs, page, time.monotonic() - since, client.admitted(), client.admitted("desk"))
    finally:
        run(coordinator, "timeout 20 systemctl start headscale.service")


def has_rebooted(mesh: Fleet, name: str, boot: str) -> bool:
    with contextlib.suppress(RuntimeError):  # it does not answer
        asked = mesh.host(name).run(f"timeout 10 {BOOT}")
        return asked.rc == 0 and asked.stdout != boot
    return False


def test_every_pair_survives_a_reboot_while_the_coordinator_is_down(outlived: Outlived) -> None:
    assert set(outlived.pairs) == set(itertools.permutations(NODES, 2))
    assert {pair: took for pair, took in outlived.pairs.items() if took > OUTLIVE_SECONDS} == {}


def test_the_gateway_survives_and_serves_while_the_coordinator_is_down(outlived: Outlived) -> None:
    assert (outlived.page, outlived.page_after <= OUTLIVE_SECONDS) == ("200", True)


def test_a_stranger_is_refused_by_every_relay_while_the_coordinator_is_down(outlived: Outlived) -> None:
    assert outlived.stranger == dict.fromkeys(RELAYS, False)


def test_a_node_is_let_in_by_every_relay_while_the_coordinator_is_down(outlived: Outlived) -> None:
    assert outlived.member == dict.fromkeys(RELAYS, True)


@pytest.fixture(scope="module")
def back(mesh: Fleet, outlived: Outlived) -> Fleet:
    """The mesh, once its coordinator is there again."""
    assert outlived.booted < OUTLIVE_SECONDS
    run(mesh.host(COORDINATOR), "timeout 20 systemctl start headscale.service")
    wait_until(BACK_SECONDS, lambda: "" not in homes(mesh).values())
    return mesh


def test_a_peer_relay_carries_what_relays_would(back: Fleet, tmp_path: Path) -> None:
    inventory = yaml.safe_load(back.inventory.read_text(encoding="utf-8"))
    inventory["all"]["hosts"]["out"]["tailscaled_relay_port"] = 40000
    file = tmp_path / "hosts.yml"
    file.write_text(yaml.safe_dump(inventory), encoding="utf-8")
    assert back.play("site.yml", "--limit", "vps,out", "--skip-tags", "verify", inventory=file).status == 0

    def carries() -> bool:
        reach(back, HIDDEN[:1], TOGETHER_SECONDS)
        said = json.loads(run(back.host(HIDDEN[0]), "timeout 20 tailscale status --json").stdout)
        return any(each["HostName"] == HIDDEN[1] and each["PeerRelay"] for each in said["Peer"].values())

    wait_until(BACK_SECONDS, carries)


class Removed(t.NamedTuple):
    """A node that was taken out: for how long its key stayed on each relay, and whether it came back."""

    play: Play
    after: dict[str, float]
    back: dict[str, bool]


@pytest.fixture(scope="module")
def removed(back: Fleet, client: Client) -> Removed:
    with concurrent.futures.ThreadPoolExecutor() as pool:
        held = {relay: pool.submit(client.ask, relay, "box", HOLD_SECONDS) for relay in RELAYS}
        connected = time.monotonic()
        time.sleep(2)
        play = back.play("playbooks/remove.yml", "--limit", "box", "--tags", "always,tailscaled")
        began = time.monotonic() - connected  # no earlier than the removal itself, whatever the play took
        lasted = {relay: each.result()["held"] for relay, each in held.items()}
    return Removed(play, {relay: took - began for relay, took in lasted.items()}, client.admitted("box"))


def test_a_removed_node_is_out_of_every_relay_in_time(removed: Removed) -> None:
    assert removed.play.status == 0
    assert {relay: took for relay, took in removed.after.items() if took > OUT_SECONDS} == {}


def test_a_removed_node_cannot_come_back_to_any_relay(removed: Removed) -> None:
    assert removed.back == dict.fromkeys(RELAYS, False)


def test_a_relay_that_the_inventory_no_longer_has_leaves_the_map_and_then_its_host(
    mesh: Fleet, removed: Removed, tmp_path: Path
) -> None:
    assert removed.play.status == 0
    inventory = yaml.safe_load(mesh.inventory.read_text(encoding="utf-8"))
    del inventory["all"]["children"]["relays"]["hosts"]["out"]
    file = tmp_path / "hosts.yml"
    file.write_text(yaml.safe_dump(inventory), encoding="utf-8")
    play = mesh.play("site.yml", "--limit", "vps,out", "--skip-tags", "verify", inventory=file)
    assert play.status == 0
    assert set(regions(mesh)) == {"vps"}
    assert run(mesh.host("out"), "systemctl is-active derper.service").stdout.strip() == "inactive"
    # What the run changed first was the coordinator.
    assert play.output.index("changed: [vps]") < play.output.index("changed: [out]")
