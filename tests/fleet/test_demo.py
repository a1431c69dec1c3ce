# SPDX-License-Identifier: MIT
"""The demo's world keeps what the inventory promises: by its proof, and by its hosts when they are asked directly."""

from __future__ import annotations

import itertools
import json
import re
import stat
import typing as t

import jsonschema
import pytest
from world import ROOT, read_json, run

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from world import Fleet

# The reloads of test_streams.py come first, so that its quiet minutes pass while other tests run.
pytestmark = pytest.mark.usefixtures("reloads")

NODES = ["edge", "laptop", "mini-1", "mini-2", "nas"]
HOSTS = [*NODES, "hub", "stranger"]
PAIRS = list(itertools.permutations(NODES, 2))
DIRECT = [{"edge", "mini-1"}, {"edge", "mini-2"}, {"edge", "nas"}, {"mini-1", "mini-2"}]
SITE = "site.yml"
VERIFY = "playbooks/verify.yml"
PROBE_PORT = 7733
TAILSCALE = "/usr/local/bin/tailscale"
DIRECT_PINGS = 10  # one per second: the first ones may still come through the relay
RELAYED_PINGS = 3
EXPOSURE = [  # what `systemd-analyze security` may say at most
    ("hub", "headscale", 1.5),
    ("hub", "caddy", 1.5),
    ("edge", "caddy", 1.5),
    ("edge", "tailscaled", 2.6),
    ("laptop", "tailscaled", 2.6),
    ("mini-1", "tailscaled", 2.6),
    ("nas", "tailscaled", 2.6),
    ("mini-2", "tailscaled", 1.2),
]


def path_of(result: dict[str, t.Any], source: str, target: str) -> dict[str, t.Any]:
    return next(path for path in result["paths"] if (path["from"], path["to"]) == (source, target))


# The proof.


def test_no_promise_is_broken(demo: Fleet) -> None:
    assert (demo.result["ok"], demo.result["problems"]) == (True, [])


def test_the_proof_matches_its_schema(demo: Fleet) -> None:
    jsonschema.validate(demo.result, read_json(ROOT / "docs/result.schema.json"))


def test_the_proof_is_for_its_owner_alone(demo: Fleet) -> None:
    assert stat.S_IMODE(demo.result_file.stat().st_mode) == 0o600


def test_all_20_ordered_pairs_carry_bytes(demo: Fleet) -> None:
    assert sorted((path["from"], path["to"]) for path in demo.result["paths"] if path["ok"]) == sorted(PAIRS)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_path_is_what_the_nats_allow(demo: Fleet, source: str, target: str) -> None:
    expected = "direct" if {source, target} in DIRECT else "relay"
    path = path_of(demo.result, source, target)
    assert (path["predicted"], path["observed"]) == (expected, expected)


def test_status_proves_it_again(demo: Fleet) -> None:
    status, output = demo.status()
    assert (status, json.loads(output)["ok"]) == (0, True)


# The paths, as the nodes themselves see them.


@pytest.mark.parametrize(("source", "target"), [pair for pair in PAIRS if set(pair) in DIRECT and pair[0] < pair[1]])
def test_tailscaled_reaches_a_near_peer_directly(demo: Fleet, source: str, target: str) -> None:
    ping = f"timeout 30 {TAILSCALE} ping --c {DIRECT_PINGS} {demo.address(target)}"
    last = run(demo.host(source), ping).stdout.strip().splitlines()[-1]
    assert re.search(r" via \S+:\d+ in ", last)


@pytest.mark.parametrize(
    ("source", "target"), [pair for pair in PAIRS if set(pair) not in DIRECT and pair[0] < pair[1]]
)
def test_tailscaled_reaches_a_far_peer_through_the_relay(demo: Fleet, source: str, target: str) -> None:
    ping = f"timeout 30 {TAILSCALE} ping --c {RELAYED_PINGS} {demo.address(target)}"
    pongs = [line for line in run(demo.host(source), ping).stdout.splitlines() if line.startswith("pong")]
    assert [" via DERP(" in line for line in pongs] == [True] * RELAYED_PINGS


# Who reaches what.


@pytest.mark.parametrize("target", [name for name in NODES if name != "laptop"])
def test_an_admin_opens_ssh_on_a_node(demo: Fleet, target: str) -> None:
    read_banner = f"timeout 10 bash -c 'exec 3<>/dev/tcp/{demo.address(target)}/22; head -c 4 <&3'"
    assert run(demo.host("laptop"), read_banner).stdout == "SSH-"


@pytest.mark.parametrize(("source", "target"), [("mini-1", "nas"), ("edge", "mini-1"), ("nas", "laptop")])
def test_another_node_does_not_open_ssh(demo: Fleet, source: str, target: str) -> None:
    address = demo.address(target)
    reached = [demo.connects(source, address, port) for port in (PROBE_PORT, 22)]
    assert reached == [True, False]  # the first shows that it is the policy which refuses the second


LOOPBACK_PORT = 5999


@pytest.fixture
def loopback(demo: Fleet) -> Iterator[None]:
    """Meanwhile something listens on the loopback of a node without TUN."""
    serve = f"python3 -m http.server --bind 127.0.0.1 {LOOPBACK_PORT}"
    assert run(demo.host("mini-2"), f"systemd-run --quiet --collect --unit test-loopback {serve}").rc == 0
    answers = f"curl --silent --output /dev/null http://127.0.0.1:{LOOPBACK_PORT}"
    assert run(demo.host("mini-2"), f"timeout 20 sh -c 'until {answers}; do sleep 0.2; done'").rc == 0
    yield
    run(demo.host("mini-2"), "systemctl stop test-loopback")


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize("source", ["edge", "mini-1", "laptop"])
def test_a_node_without_tun_does_not_expose_its_loopback(demo: Fleet, source: str) -> None:
    address = demo.address("mini-2")
    reached = [demo.connects(source, address, port) for port in (PROBE_PORT, LOOPBACK_PORT)]
    assert reached == [True, False]  # the first shows that what is granted on the same loopback is open


def test_the_proof_tries_the_loopback_of_a_node_without_tun(demo: Fleet) -> None:
    proxy = [each for each in demo.result["refusals"] if (each["to"], each["port"]) == ("mini-2", 1055)]
    tried = {each["from"]: each["ok"] for each in proxy}
    assert tried == dict.fromkeys(set(NODES) - {"mini-2"}, True)


@pytest.mark.parametrize("path", ["/api/v1/node", "/api/v1/apikey", "/swagger", "/metrics", "/"])
def test_a_stranger_does_not_reach_the_control_api(demo: Fleet, path: str) -> None:
    curl = "curl --silent --max-time 10 --output /dev/null --write-out '%{http_code}'"
    assert run(demo.host("stranger"), f"{curl} https://hub.wm.test{path}").stdout == "404"


def test_a_stranger_reaches_the_health_of_the_control_plane(demo: Fleet) -> None:
    curl = "curl --silent --max-time 10 --output /dev/null --write-out '%{http_code}'"
    assert run(demo.host("stranger"), f"{curl} https://hub.wm.test/health").stdout == "200"


def test_the_coordinator_listens_on_ssh_and_the_web_only(demo: Fleet) -> None:
    listening = run(demo.host("hub"), "ss --no-header --listening --tcp --numeric").stdout
    sockets = [line.split()[3].rpartition(":") for line in listening.splitlines()]
    assert {int(port) for address, _, port in sockets if not address.startswith(("127.", "[::1]"))} <= {22, 80, 443}


# The services.


@pytest.mark.parametrize(("service", "nodes"), [("hello", {"mini-1", "nas"}), ("tunless", {"mini-2"})])
def test_a_stranger_gets_the_page_of_a_node(demo: Fleet, service: str, nodes: set[str]) -> None:
    page = run(demo.host("stranger"), f"curl --silent --fail --max-time 10 https://{service}.wm.test/").stdout
    assert [node for node in nodes if node in page]


# How the daemons run.


@pytest.mark.parametrize(("name", "unit", "at_most"), EXPOSURE)
def test_a_daemon_is_locked_up(demo: Fleet, name: str, unit: str, at_most: float) -> None:
    said = run(demo.host(name), f"timeout 60 systemd-analyze security --no-pager {unit}.service").stdout
    found = re.search(rf"exposure level for {unit}\.service: ([\d.]+)", said)
    assert found
    assert float(found[1]) <= at_most


@pytest.mark.parametrize("name", HOSTS)
def test_no_unit_of_a_host_has_failed(demo: Fleet, name: str) -> None:
    assert run(demo.host(name), "timeout 20 systemctl list-units --failed --plain --no-legend").stdout == ""


def test_a_node_without_tun_has_no_tunnel_interface(demo: Fleet) -> None:
    assert not demo.host("mini-2").interface("tailscale0").exists


def test_a_node_without_tun_runs_tailscaled_without_root(demo: Fleet) -> None:
    assert run(demo.host("mini-2"), "ps -o user= -C tailscaled").stdout.strip() not in {"", "root"}


# Runs after the first.


def test_a_second_run_changes_nothing_on_any_host(demo: Fleet, own_result: dict[str, str]) -> None:
    play = demo.play(SITE, variables=own_result)
    assert (play.status, set(play.changed.values())) == (0, {0})


def test_a_run_limited_to_one_node_passes(demo: Fleet, own_result: dict[str, str]) -> None:
    assert demo.play(SITE, "--limit", "mini-1", variables=own_result).status == 0
