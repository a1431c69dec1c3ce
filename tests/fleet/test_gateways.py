# SPDX-License-Identifier: MIT
"""Two gateways for the same services, of which one reaches nodes only through the proxy of its tailscaled."""

from __future__ import annotations

import concurrent.futures
import json
import shlex
import time
import typing as t
from pathlib import Path

import pytest
from test_failover import stopped
from world import run

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from world import Fleet

TOPOLOGY = Path(__file__).with_name("gateways.yml")
GATEWAYS = ("edge", "hub")
WITHOUT_TUN = "edge"
PROGRAMS = {name: Path(__file__).with_name(f"{name}.py") for name in ("fresh", "websocket")}
RELOADS = 25
FAILOVER_SECONDS = 5
DONE = "/run/reloads.done"


@pytest.fixture(scope="module")
def mesh(fleet: Callable[[str], Fleet]) -> Fleet:
    return fleet(str(TOPOLOGY))


def page(mesh: Fleet, gateway: str, name: str, *options: str) -> str:
    """What a stranger gets of a service at this gateway."""
    where = f"--connect-to ::{gateway}.wm.test:443 https://{name}.wm.test/"
    return run(mesh.host("stranger"), f"curl --silent --max-time 8 {' '.join(options)} {where}").stdout


def test_the_proof_asks_each_gateway_for_each_service(mesh: Fleet) -> None:
    found = {(each["gateway"], each["name"]): each["ok"] for each in mesh.result["services"]}
    assert found == {(gateway, name): True for gateway in GATEWAYS for name in ("hello", "tunless")}


def test_a_gateway_without_tun_has_no_device_and_no_root(mesh: Fleet) -> None:
    edge = mesh.host(WITHOUT_TUN)
    assert run(edge, "ip link show dev tailscale0").rc != 0
    assert run(edge, "systemctl show --property User tailscaled").stdout == "User=tailscale\n"


@pytest.mark.parametrize(("stops", "stays"), [GATEWAYS, GATEWAYS[::-1]])
def test_one_gateway_stopped_leaves_the_other_serving(mesh: Fleet, stops: str, stays: str) -> None:
    with stopped(mesh.host(stops), "caddy.service"):
        assert "served by mini-1" in page(mesh, stays, "hello")
        assert page(mesh, stops, "hello") == ""
        anywhere = run(mesh.host("stranger"), "curl --silent --max-time 8 https://hello.wm.test/").stdout
        assert "served by mini-1" in anywhere  # DNS names both, and a client takes the next


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_client_may_speak_http_2(mesh: Fleet, gateway: str) -> None:
    found = page(
        mesh, gateway, "tunless", "--http2", "--output /dev/null", "--write-out '%{http_version} %{http_code}'"
    )
    assert found == "2 200"


def test_another_node_takes_over_behind_a_gateway_without_tun(mesh: Fleet) -> None:
    with stopped(mesh.host("mini-1"), "page.service") as since:
        said = ""
        while "served by mini-2" not in said and time.time() - since < 3 * FAILOVER_SECONDS:
            asked = time.time()
            said = page(mesh, WITHOUT_TUN, "hello")
    assert "served by mini-2" in said
    assert asked - since <= FAILOVER_SECONDS


@pytest.fixture(scope="module")
def reloaded(mesh: Fleet) -> dict[str, dict[str, t.Any]]:
    """What clients of both gateways saw while each was reloaded, by program and gateway."""
    stranger = mesh.host("stranger")
    run(stranger, f"rm --force {DONE}")
    plans = {
        f"{name} {gateway}": f"timeout 120 python3 -I -c {shlex.quote(path.read_text(encoding='utf-8'))}"
        f" {gateway}.wm.test tunless.wm.test {DONE}"
        for name, path in PROGRAMS.items()
        for gateway in GATEWAYS
    }
    with concurrent.futures.ThreadPoolExecutor() as pool:
        talks = {name: pool.submit(run, stranger, command) for name, command in plans.items()}
        time.sleep(2)
        each = "timeout 20 systemctl reload caddy.service"
        reloads = f"for i in $(seq {RELOADS}); do {each} || exit; done"
        done = [pool.submit(run, mesh.host(gateway), reloads) for gateway in GATEWAYS]
        assert [each.result().rc for each in done] == [0, 0]
        run(stranger, f"touch {DONE}")
        return {name: json.loads(talk.result().stdout) for name, talk in talks.items()}


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_reload_loses_no_request_of_who_has_just_connected(reloaded: dict[str, t.Any], gateway: str) -> None:
    found = reloaded[f"fresh {gateway}"]
    assert found["others"] == {}
    assert found["served"] > 2 * RELOADS


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_reload_cuts_no_websocket(reloaded: dict[str, t.Any], gateway: str) -> None:
    found = reloaded[f"websocket {gateway}"]
    assert (found["error"], found["frames"] > 10) == ("", True)
