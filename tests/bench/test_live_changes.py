# SPDX-License-Identifier: MIT
"""What a change of 200 peers costs those who are talking, beside a restart of the same interface."""

from __future__ import annotations

import base64
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils._x25519 import new_private_key, public_of
from tests.fleet.tunnels import Tunnels

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FROM, TO = "nas", "hub-1"
MANY = 200
SECONDS = 40  # of a stream; a call takes some of them
MOST = 0.005  # of the packets
RATIO = 20
ECHO = """
import socket
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echo.bind(("10.77.0.1", 5000))
while True:
    echo.sendto(*echo.recvfrom(2000))
"""
# A thousand numbered datagrams a second, there and back; prints how many went out, and how many came back.
STREAM = """
import socket, sys, time
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
sender.setblocking(False)
began, sent, back = time.monotonic(), 0, set()
def read():
    try:
        while True:
            back.add(sender.recv(2000))
    except BlockingIOError:
        pass
while sent < float(sys.argv[1]) * 1000:
    while sent < (time.monotonic() - began) * 1000:
        sender.sendto(str(sent).encode(), ("10.77.0.1", 5000))
        sent += 1
    read()
    time.sleep(0.001)
time.sleep(1)
read()
print(sent, len(back))
"""


@pytest.fixture(scope="module")
def tunnels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tunnels]:
    world = Tunnels(tmp_path_factory.mktemp("live"), str(Path(__file__).with_name("live.yml")))
    world.up()
    answers = world.install()
    assert not any(answer["failed"] for answer in answers.values()), answers
    yield world
    world.down()


def python(script: str, *arguments: str) -> str:
    return f"python3 - {' '.join(arguments)} <<'THE_END'\n{script}\nTHE_END\n"


def lost(tunnels: Tunnels, meanwhile: Callable[[], object]) -> tuple[int, int]:
    """How many packets of a stream were lost, of how many."""
    echo = tunnels.start(TO, f"timeout {SECONDS + 15} {python(ECHO)}")
    time.sleep(2)
    stream = tunnels.start(FROM, python(STREAM, str(SECONDS)))
    time.sleep(3)
    meanwhile()
    sent, back = map(int, stream.communicate(timeout=SECONDS + 60)[0].split())
    echo.communicate()
    return sent - back, sent


def with_peers(tunnels: Tunnels, keys: list[str]) -> dict[str, dict[str, t.Any]]:
    tables = tunnels.tables()
    rows = [
        {
            "name": f"new-{number}",
            "public_key": key,
            "endpoint": None,
            "allowed_ips": [f"10.77.9.{number}/32"],
            "keepalive": 0,
            "preshared": False,
        }
        for number, key in enumerate(keys)
    ]
    return {
        host: {**each, "table": {**each["table"], "peers": [*each["table"]["peers"], *rows]}}
        for host, each in tables.items()
    }


def test_a_change_of_200_peers_loses_a_twentieth_of_what_a_restart_loses(
    tunnels: Tunnels, figure: Callable[[object], None]
) -> None:
    keys = [base64.b64encode(public_of(new_private_key())).decode() for _ in range(MANY)]
    answers: list[bool] = []

    def change() -> None:
        for wanted in (with_peers(tunnels, keys), tunnels.tables()):
            answers.extend(each["changed"] and not each["restarted"] for each in tunnels.call(wanted).values())

    by_change, sent = lost(tunnels, change)
    by_restart, _sent = lost(tunnels, lambda: tunnels.run(TO, "systemctl restart wireguard-wm0"))
    figure(f"lost_by_200_peers = {by_change} of {sent}")
    figure(f"lost_by_restart = {by_restart} of {sent}")
    assert answers == [True] * 4
    assert by_change <= sent * MOST
    assert by_change * RATIO <= by_restart
