# SPDX-License-Identifier: MIT
"""What changes at relays: their certificates, their nodes, the policy, and which relays there are."""

from __future__ import annotations

import concurrent.futures
import json
import time
import typing as t

import pytest
import yaml
from relay_world import (
    HIDDEN,
    NODES,
    RELAYS,
    Client,
    client,
    homes,
    mesh,
    pins,
    policy_without,
    reach,
    regions,
    remembered,
)
from world import run, wait_until

if t.TYPE_CHECKING:
    from pathlib import Path

    from world import Fleet, Play

__all__ = ["client", "mesh"]

PROBE_RULE, RELAY_RULE, SERVICE_RULE = "tcp:7733", "icmp:*", "tcp:8000"
OUT_SECONDS = 30  # after a node was removed
HOLD_SECONDS = 300  # more than OUT_SECONDS and the run that removes it
BACK_SECONDS = 90  # until a pair has found a better path
TALK_SECONDS = 10
SHORT_CERTIFICATE = r"""
cd /etc/derper && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
  -subj /CN=203.0.113.77 -addext subjectAltName=IP:203.0.113.77 -keyout key -out certificate \
  && cat certificate key >203.0.113.77.pem && rm key certificate
"""


@pytest.fixture(scope="module", autouse=True)
def settled(mesh: Fleet) -> None:
    """The coordinator may have been away just now."""
    wait_until(BACK_SECONDS, lambda: "" not in homes(mesh, NODES).values())


def test_a_relay_knows_every_node_without_the_rule_of_the_probe(mesh: Fleet, client: Client) -> None:
    with policy_without(mesh, PROBE_RULE, SERVICE_RULE, RELAY_RULE):  # without any rule, a relay comes not to know it
        wait_until(OUT_SECONDS, lambda: client.admitted("box") == dict.fromkeys(RELAYS, False))
    with policy_without(mesh, PROBE_RULE, SERVICE_RULE):
        wait_until(OUT_SECONDS, lambda: client.admitted("box") == dict.fromkeys(RELAYS, True))
        time.sleep(5)  # what all nodes are told has reached them by then
        assert client.admitted("box") == dict.fromkeys(RELAYS, True)


def test_a_certificate_that_ends_soon_is_replaced_and_published(mesh: Fleet, client: Client) -> None:
    before = pins(mesh)
    assert run(mesh.host("out"), SHORT_CERTIFICATE).rc == 0
    renewed = mesh.play("site.yml", "--limit", "vps,out", "--skip-tags", "verify")
    assert renewed.status == 0
    assert pins(mesh).keys() == before.keys() == {"out"}
    assert pins(mesh) != before
    assert client.ask("out", "desk")["admitted"]


def test_a_peer_relay_carries_what_relays_would(mesh: Fleet, tmp_path: Path) -> None:
    inventory = yaml.safe_load(mesh.inventory.read_text(encoding="utf-8"))
    inventory["all"]["hosts"]["out"]["tailscaled_relay_port"] = 40000
    file = tmp_path / "hosts.yml"
    file.write_text(yaml.safe_dump(inventory), encoding="utf-8")
    assert mesh.play("site.yml", "--limit", "vps,out", "--skip-tags", "verify", inventory=file).status == 0

    def carries() -> bool:
        reach(mesh, HIDDEN[:1], TALK_SECONDS)
        said = json.loads(run(mesh.host(HIDDEN[0]), "timeout 20 tailscale status --json").stdout)
        return any(each["HostName"] == HIDDEN[1] and each["PeerRelay"] for each in said["Peer"].values())

    wait_until(BACK_SECONDS, carries)


class Removed(t.NamedTuple):
    """A node that was taken out: for how long its key stayed on each relay, and whether it came back."""

    play: Play
    after: dict[str, float]
    back: dict[str, bool]


@pytest.fixture(scope="module")
def removed(mesh: Fleet, client: Client) -> Removed:
    with concurrent.futures.ThreadPoolExecutor() as pool:
        held = {relay: pool.submit(client.ask, relay, "box", HOLD_SECONDS) for relay in RELAYS}
        connected = time.monotonic()
        time.sleep(2)
        play = mesh.play("playbooks/remove.yml", "--limit", "box", "--tags", "always,tailscaled")
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
    wait_until(BACK_SECONDS, lambda: remembered(mesh, ["vps"]) == homes(mesh, ["vps"]) == {"vps": "vps"})
    # What the run changed first was the coordinator.
    assert play.output.index("changed: [vps]") < play.output.index("changed: [out]")
