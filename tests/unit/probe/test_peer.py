# SPDX-License-Identifier: MIT
"""One peer from the first try to the verdict: real responder, real sockets, and a tailscaled that changes its mind."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils import _probe_peer as peer
from ansible_collections.wonder.mesh.plugins.module_utils import _probe_protocol as protocol
from ansible_collections.wonder.mesh.plugins.module_utils._probe_dial import Dialer
from ansible_collections.wonder.mesh.plugins.module_utils._probe_status import StatusFeed, parse_status
from tests.unit.probe import servers

if t.TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    Fields = Callable[[float], dict[str, t.Any] | None]

RELAY_AFTER = 1.0
RELAYED = {"Relay": "hub"}
DIRECT = {"Relay": "hub", "CurAddr": "203.0.113.21:41641"}


@pytest.fixture(autouse=True)
def short_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "START_SECONDS", 0.8)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with servers.responder() as running:
        yield running.port


def measure(port: int, fields: Fields, state: str = "Running", relay_after: float = RELAY_AFTER) -> dict[str, t.Any]:
    """Probe the peer nas; ``fields`` gives what tailscaled says of it that many seconds after the start, or None."""
    times = peer.Times(relay_after)

    def read() -> t.Any:
        said = fields(time.monotonic() - times.began)
        return parse_status(servers.status({} if said is None else {"nas": said}, state))

    feed = StatusFeed(read, interval=0.02)
    feed.start()
    try:
        result = peer.PeerProbe("nas", "nas.mesh.wm.test", port, Dialer(), feed, times).run()
    finally:
        feed.stop()
    return result | {"seconds": time.monotonic() - times.began}


def test_a_direct_path_is_settled_at_once(port: int) -> None:
    result = measure(port, lambda _: DIRECT)
    assert result.pop("seconds") < RELAY_AFTER
    assert 0 < result.pop("latency_ms") < 1000
    assert result == {
        "name": "nas",
        "address": "127.0.0.1",
        "carried": True,
        "sent": protocol.LIMIT,
        "received": protocol.LIMIT,
        "path": "direct",
        "endpoint": "203.0.113.21:41641",
        "error": "",
    }


def test_a_path_that_becomes_direct_is_direct(port: int) -> None:
    result = measure(port, lambda seconds: DIRECT if seconds > 0.5 else RELAYED)
    assert result["path"] == "direct"
    assert result["seconds"] >= 0.5


@pytest.mark.parametrize("relay_after", [0.7, 1.5])
def test_a_relay_is_never_reported_before_its_time(port: int, relay_after: float) -> None:
    result = measure(port, lambda _: RELAYED, relay_after=relay_after)
    assert (result["path"], result["endpoint"], result["carried"]) == ("relay", "hub", True)
    assert result["seconds"] >= relay_after


def test_a_relay_s_time_counts_from_the_first_traffic(port: int) -> None:
    result = measure(port, lambda seconds: RELAYED if seconds > 0.6 else None)
    assert result["path"] == "relay"
    assert result["seconds"] >= 0.6 + RELAY_AFTER


def test_a_peer_relay_is_settled_at_once(port: int) -> None:
    result = measure(port, lambda _: RELAYED | {"PeerRelay": "203.0.113.5:40000:vni:1"})
    assert (result["path"], result["endpoint"]) == ("peer-relay", "203.0.113.5:40000:vni:1")
    assert result["seconds"] < RELAY_AFTER


def test_traffic_that_tailscaled_knows_no_path_for_is_unknown_and_still_carried(port: int) -> None:
    result = measure(port, lambda _: {})
    assert (result["path"], result["carried"]) == ("unknown", True)
    assert "its path was not found" in result["error"]


def test_traffic_that_breaks_again_and_again_is_no_relay() -> None:
    """Each connection lives shorter than relay_after; all of them together live longer."""

    def handle(sock: socket.socket) -> None:
        end = time.monotonic() + 0.6
        while time.monotonic() < end:
            servers.exactly(sock, protocol.HEADER_BYTES)
            sock.sendall(servers.exactly(sock, protocol.ECHO_BYTES))

    with servers.serve(handle) as port:
        result = measure(port, lambda _: RELAYED)
    assert (result["path"], result["carried"]) == ("unknown", False)
    assert result["seconds"] > 2 * RELAY_AFTER


def test_a_direct_path_that_damages_data_is_not_carried() -> None:
    def handle(sock: socket.socket) -> None:
        while True:
            verb = servers.exactly(sock, protocol.HEADER_BYTES).split()[2]
            if verb == b"echo":
                sock.sendall(servers.exactly(sock, protocol.ECHO_BYTES))
                continue
            arrived = hashlib.sha256(servers.exactly(sock, protocol.LIMIT))
            sock.sendall(f"{protocol.LIMIT} {arrived.hexdigest()}\n".encode())
            sent = os.urandom(protocol.LIMIT)
            sock.sendall(sent[:-1] + bytes([sent[-1] ^ 1]) + f"{hashlib.sha256(sent).hexdigest()}\n".encode())

    with servers.serve(handle) as port:
        result = measure(port, lambda _: DIRECT)
    assert (result["path"], result["carried"]) == ("direct", False)
    assert (result["sent"], result["received"]) == (protocol.LIMIT, protocol.LIMIT)
    assert "damages data" in result["error"]


def test_a_path_for_small_packets_only_is_not_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with an MTU that is too large: round trips succeed, the bytes stay away."""
    monkeypatch.setattr(peer, "GRACE_SECONDS", 1.5)

    def handle(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while servers.exactly(sock, protocol.HEADER_BYTES).split()[2] == b"echo":
                sock.sendall(servers.exactly(sock, protocol.ECHO_BYTES))
            servers.exactly(sock, 512)
            while sock.recv(65536):
                pass

    with servers.serve(handle) as port:
        result = measure(port, lambda _: DIRECT)
    assert (result["path"], result["carried"], result["sent"]) == ("direct", False, 0)
    assert result["error"]
    assert result["seconds"] < RELAY_AFTER + 1.5 + 0.5


@pytest.mark.parametrize(
    ("fields", "state", "words"),
    [
        (None, "Running", "knows no peer nas.mesh.wm.test"),
        (None, "NeedsLogin", "in state NeedsLogin, expected Running"),
        ({"TailscaleIPs": []}, "Running", "no address"),
        ({"Online": False}, "Running", "offline"),
        ({}, "Running", "refused"),
    ],
)
def test_a_peer_that_is_not_there_is_an_error_in_time(fields: dict[str, t.Any] | None, state: str, words: str) -> None:
    result = measure(servers.closed_port(), lambda _: fields, state)
    assert (result["path"], result["carried"], result["latency_ms"]) == ("unknown", False, None)
    assert words in result["error"]
    assert result["seconds"] < 2.5
