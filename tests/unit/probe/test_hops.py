# SPDX-License-Identifier: MIT
"""The path as packets show it, where no tailscaled can be asked: by how many machines they pass."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils import _probe_wireguard as wireguard
from ansible_collections.wonder.mesh.plugins.module_utils._probe import PlanError, check_plan
from ansible_collections.wonder.mesh.plugins.module_utils._probe_status import Path as Way
from ansible_collections.wonder.mesh.plugins.module_utils._probe_status import PeerStatus, Snapshot, StatusError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

PEERS = [{"name": "nas", "dns": "nas.mesh.wm.test", "address": "10.77.0.2"}]
SHOWN = [
    {},
    {
        "ifname": "wm0",
        "flags": ["POINTOPOINT", "NOARP", "UP", "LOWER_UP"],
        "addr_info": [
            {"family": "inet", "local": "10.77.0.1", "prefixlen": 32, "scope": "global"},
            {"family": "inet6", "local": "fd77::1", "prefixlen": 128, "scope": "global"},
            {"family": "inet6", "local": "fe80::1", "prefixlen": 64, "scope": "link"},
        ],
    },
]
NOW = Snapshot(0.0, None)
NAS = PeerStatus("nas.mesh.wm.test", "", ("10.77.0.2",))
ROOT = Path(__file__).parents[3]


def shown(**changes: t.Any) -> str:
    return json.dumps([SHOWN[0], {**SHOWN[1], **changes}])


def test_reads_what_ip_prints() -> None:
    status = wireguard.parse_interface(shown(), PEERS)
    assert (status.state, status.addresses) == ("Running", ("10.77.0.1", "fd77::1"))
    nas = status.find("nas", "nas.mesh.wm.test")
    assert nas is not None
    assert nas.address == "10.77.0.2"


@pytest.mark.parametrize("changes", [{"flags": ["POINTOPOINT"]}, {"addr_info": []}])
def test_an_interface_that_is_down_or_bare_does_not_run(changes: dict[str, t.Any]) -> None:
    assert wireguard.parse_interface(shown(**changes), PEERS).state != "Running"


@pytest.mark.parametrize("text", ["", "[]", "{}", "[{}]", '[{"flags": 5}]'])
def test_what_ip_never_prints_is_an_error(text: str) -> None:
    with pytest.raises(StatusError):
        wireguard.parse_interface(text, PEERS)


def test_a_host_without_the_interface_is_told_so() -> None:
    read = wireguard.interface_reader(lambda *_a, **_k: (1, "", 'Device "wm0" does not exist.'), "wm0", PEERS)
    with pytest.raises(StatusError, match="there is no interface wm0"):
        read()


@pytest.mark.parametrize(
    ("arriving", "path"),
    [
        ({1, 2, 3}, Way("direct")),
        ({2, 3}, Way("hub", "10.77.0.9")),
        ({3}, Way("hub", "10.77.0.9")),
        (set(), Way()),
    ],
)
def test_the_first_machine_in_the_mesh_decides(monkeypatch: pytest.MonkeyPatch, arriving: set[int], path: Way) -> None:
    def reach(_address: str, _port: int, hops: int) -> tuple[bool, str]:
        return hops in arriving, "" if hops in arriving else "10.77.0.9"

    monkeypatch.setattr(wireguard, "reach", reach)
    assert wireguard.by_hops(7733, NAS, NOW, 0.0) == path


def test_a_peer_that_is_not_known_has_no_path_yet() -> None:
    assert wireguard.by_hops(7733, None, NOW, 0.0) is None


def test_a_proxy_and_an_interface_contradict_each_other() -> None:
    plan = {"relay_after": 10, "socks": "127.0.0.1:1055", "interface": "wm0", "member": True, "peers": []}
    with pytest.raises(PlanError, match="socks and interface"):
        check_plan(plan | {"connections": [], "answers": []})


@pytest.fixture(scope="module")
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_neighbour_is_reached_with_one_hop(listener: int) -> None:
    assert wireguard.reach("127.0.0.1", listener, 1) == (True, "")


class Unconnected(socket.socket):
    """What is left where the error of an attempt was queued and not returned: connected, as Python has it."""

    def connect(self, _address: t.Any) -> None:
        pass


def test_a_socket_that_python_takes_for_connected_has_arrived_only_if_it_has_a_peer(
    monkeypatch: pytest.MonkeyPatch, listener: int
) -> None:
    monkeypatch.setattr(wireguard.socket, "socket", Unconnected)
    assert wireguard.reach("127.0.0.1", listener, 1) == (False, "")


NAMESPACES = """
set -e
ip link set lo up
ip link add there type veth peer name back
unshare --net sleep 30 & far=$!
trap 'kill $far' EXIT
until [ "$(readlink /proc/$far/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.05; done
ip link set back netns $far
ip link add near type veth peer name here
unshare --net sleep 30 & own=$!
trap 'kill $far $own' EXIT
until [ "$(readlink /proc/$own/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.05; done
ip link set here netns $own
ip addr add 10.1.0.1/24 dev near && ip link set near up
ip addr add 10.2.0.1/24 dev there && ip link set there up
echo 1 >/proc/sys/net/ipv4/ip_forward
nsenter -t $far -n sh -c 'ip addr add 10.2.0.2/24 dev back && ip link set back up && ip route add default via 10.2.0.1'
nsenter -t $own -n sh -c 'ip addr add 10.1.0.2/24 dev here && ip link set here up && ip route add default via 10.1.0.1'
nsenter -t $far -n "$1" -m http.server --bind 10.2.0.2 8000 >/dev/null 2>&1 & server=$!
trap 'kill $far $own $server' EXIT
until nsenter -t $own -n bash -c 'exec 3<>/dev/tcp/10.2.0.2/8000' 2>/dev/null; do sleep 0.1; done
nsenter -t $own -n "$1" -c "$2"
"""
ASK = """
from ansible_collections.wonder.mesh.plugins.module_utils import _probe_wireguard as wireguard
print(wireguard.reach("10.2.0.2", 8000, 1), wireguard.reach("10.2.0.2", 8000, 2)[0])
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"), reason="needs root and ip, for network namespaces")
def test_a_real_router_between_takes_one_hop_and_says_who_it_is() -> None:
    done = subprocess.run(
        ["unshare", "--net", "bash", "-c", NAMESPACES, "bash", sys.executable, ASK],
        env={**os.environ, "PYTHONPATH": str(ROOT / "collections")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == "(False, '10.1.0.1') True", done.stderr
