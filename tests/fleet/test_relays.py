# SPDX-License-Identifier: MIT
"""Relays let in the mesh and nobody else, and carry it when one of them, or its coordinator, is gone."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import time
import typing as t

import pytest
from relay_world import (
    COORDINATOR,
    HIDDEN,
    NODES,
    RELAYS,
    Client,
    client,
    heard,
    homes,
    mesh,
    reach,
    regions,
    remembered,
)
from world import run, wait_until

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from world import Fleet

__all__ = ["client", "mesh"]

TOGETHER_SECONDS = 10  # after one of two relays was stopped
OUTLIVE_SECONDS = 60  # after all hosts but the coordinator were told to reboot
SETTLE_SECONDS = 5  # until all peers have heard of a node's home
BACK_SECONDS = 90  # until nodes have found a coordinator again that was away
PAGE = "timeout 10 curl --silent --output /dev/null --write-out '%{http_code}' https://hello.wm.test/"
DROP = "type filter hook output priority 0; meta l4proto udp oifname != lo drop"
NO_UDP = f"nft 'table inet no_udp {{ chain out {{ {DROP}; }}; }}'"
REBOOT = "setsid sh -c 'sleep 0.2; systemctl reboot' >/dev/null 2>&1 &"
# A region that is in no map, as after relays have changed: tailscaled (1.102.5) drops it, and then keeps none for good.
NO_HOME = r"""timeout 60 systemctl stop tailscaled.service &&
sed -i -E 's/("HomeDERP": ?)[0-9]+/\1999/' /var/lib/tailscale/profile-data/*/netmap-cache/73656c66 &&
timeout 60 systemctl start tailscaled.service"""
LOOK = "timeout 20 tailscale debug restun"  # for a home; by itself it does so every half minute
BOOT = "cat /proc/sys/kernel/random/boot_id"


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


def log_in(mesh: Fleet, source: str, command: str) -> str:
    """What the command says when it runs as root on the node whose tailscaled answers SSH; nothing when it does not."""
    options = "-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=5"
    script = f"timeout 20 ssh -F none {options} root@{mesh.address('box')} '{command}' || true"
    return str(run(mesh.host(source), script).stdout).strip()


def test_an_admin_logs_in_as_root_without_a_key_where_tailscaled_answers_ssh_and_is_in_no_sandbox(mesh: Fleet) -> None:
    changes = "mkdir $HOME/here /etc/here /tmp/here && rmdir $HOME/here /etc/here /tmp/here && mount -t tmpfs none /mnt"
    assert log_in(mesh, "desk", f"id -un && {changes} && umount /mnt && echo done") == "root\ndone"


def test_who_is_no_admin_does_not_log_in_there(mesh: Fleet) -> None:
    assert log_in(mesh, "out", "id -un") == ""


def known_homes(mesh: Fleet) -> dict[str, str]:
    """Of all nodes, once each has one."""
    wait_until(BACK_SECONDS, lambda: "" not in homes(mesh, NODES).values())
    return homes(mesh, NODES)


def test_every_node_would_be_at_home_where_it_is_after_a_boot_without_its_coordinator(mesh: Fleet) -> None:
    found = known_homes(mesh)
    assert remembered(mesh, NODES) == found


def test_a_node_that_remembers_no_home_does_so_after_a_run(mesh: Fleet) -> None:
    assert run(mesh.host("box"), NO_HOME).rc == 0
    wait_until(BACK_SECONDS, lambda: run(mesh.host("box"), LOOK).rc == 0 and homes(mesh)["box"] != "")
    assert remembered(mesh, ["box"]) == {"box": ""}
    options = ("--limit", "vps,box", "--skip-tags", "verify")
    foretold, mended = (mesh.play("site.yml", *options, *more) for more in (["--check", "--diff"], ["--diff"]))
    assert (foretold.changed, mended.changed) == ({"vps": 0, "box": 1},) * 2
    assert all("+remembers its home: yes" in each.output for each in (foretold, mended))
    found = known_homes(mesh)
    assert remembered(mesh, NODES) == found


def test_a_second_run_changes_nothing(mesh: Fleet) -> None:
    again = mesh.play("site.yml", "--skip-tags", "verify")
    assert (again.status, set(again.changed.values())) == (0, {0})


def test_a_stranger_with_a_key_of_its_own_is_refused_by_every_relay(client: Client) -> None:
    assert client.admitted() == dict.fromkeys(RELAYS, False)


def test_the_key_of_a_node_is_let_in_by_every_relay(client: Client) -> None:
    assert client.admitted("desk") == dict.fromkeys(RELAYS, True)


def test_when_the_home_relay_of_a_node_stops_every_pair_talks_again_in_time(mesh: Fleet) -> None:
    wait_until(BACK_SECONDS, lambda: "" not in homes(mesh).values())
    home = homes(mesh)["box"]
    # A pair that has none agrees on a key first, and asks for one every 5 s only: such a pair may take a second longer.
    assert max(reach(mesh, NODES, BACK_SECONDS).values()) < BACK_SECONDS
    assert run(mesh.host(home), "timeout 20 systemctl stop derper.service").rc == 0
    try:
        found = reach(mesh, NODES, 3 * TOGETHER_SECONDS)
    finally:
        run(mesh.host(home), "timeout 20 systemctl start derper.service")
    assert {pair: took for pair, took in found.items() if took > TOGETHER_SECONDS} == {}


@pytest.fixture(params=RELAYS)
def only(request: pytest.FixtureRequest, mesh: Fleet) -> Iterator[str]:
    """The one relay that runs, through which alone the node `box` can be reached."""
    (other,) = {*RELAYS} - {request.param}
    wait_until(BACK_SECONDS, lambda: "" not in homes(mesh).values())
    try:
        assert run(mesh.host("box"), NO_UDP).rc == 0
        assert run(mesh.host(other), "timeout 20 systemctl stop derper.service").rc == 0
        yield request.param
    finally:
        run(mesh.host(other), "timeout 20 systemctl start derper.service")
        run(mesh.host("box"), "nft delete table inet no_udp")


def test_a_stranger_is_served_through_each_relay_alone(mesh: Fleet, only: str) -> None:
    def page() -> str:
        return str(run(mesh.host("stranger"), "timeout 10 curl --silent https://away.wm.test/").stdout)

    def path() -> tuple[str, str]:
        """From the gateway, which keeps a direct path until that has been silent for a while."""
        said = json.loads(run(mesh.host("vps"), "timeout 20 tailscale status --json").stdout)
        (peer,) = (each for each in said["Peer"].values() if each["HostName"] == "box")
        return peer["Relay"], peer["CurAddr"]

    wait_until(BACK_SECONDS, lambda: "served by box" in page() and path() == (only, ""))
    assert "served by box" in page()
    assert path() == (only, "")


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
    wait_until(BACK_SECONDS, lambda: heard(mesh) and remembered(mesh, NODES) == known_homes(mesh))
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
