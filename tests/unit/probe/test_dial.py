# SPDX-License-Identifier: MIT
"""What a connection that fails is called, straight and through a SOCKS5 proxy."""

from __future__ import annotations

import socket
import time

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils import _probe_dial as dial
from tests.unit.probe import servers


def proxy(sock: socket.socket, reply: int, asked: list[bytes]) -> None:
    """A SOCKS5 server that gives this reply; with 0 it then says what it was asked for."""
    servers.exactly(sock, 3)
    sock.sendall(b"\x05\x00")
    kind = servers.exactly(sock, 4)[3]
    size = {1: 4, 4: 16}.get(kind) or servers.exactly(sock, 1)[0]
    asked.append(servers.exactly(sock, size + 2))
    sock.sendall(bytes([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]))
    if reply == 0:
        sock.sendall(b"hello")


def outcome(socks: str, port: int, address: str = "127.0.0.1", timeout: float = 2.0) -> str:
    try:
        dial.Dialer(socks)(address, port, timeout).close()
    except dial.DialError as exc:
        return exc.outcome
    return "open"


def test_an_open_port() -> None:
    with servers.serve(lambda sock: None) as port:
        assert outcome("", port) == "open"


def test_a_refusal() -> None:
    assert outcome("", servers.closed_port()) == "refused"


def test_silence() -> None:
    with servers.silent_port() as port:
        begin = time.monotonic()
        assert outcome("", port, timeout=0.5) == "silent"
        assert 0.5 <= time.monotonic() - begin < 2


@pytest.mark.parametrize(
    ("reply", "expected"), [(0, "open"), (1, "refused"), (5, "refused"), (4, "error"), (9, "error")]
)
def test_a_proxy_s_reply(reply: int, expected: str) -> None:
    with servers.serve(lambda sock: proxy(sock, reply, [])) as port:
        assert outcome(f"127.0.0.1:{port}", 80) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("100.64.0.3", b"\x64\x40\x00\x03"),
        ("fd7a::1", bytes.fromhex("fd7a0000000000000000000000000001")),
        ("nas.mesh.wm.test", b"nas.mesh.wm.test"),
    ],
)
def test_a_proxy_gets_address_and_port(address: str, expected: bytes) -> None:
    asked: list[bytes] = []
    with (
        servers.serve(lambda sock: proxy(sock, 0, asked)) as port,
        dial.Dialer(f"127.0.0.1:{port}")(address, 7733, 2.0) as sock,
    ):
        assert servers.exactly(sock, 5) == b"hello"
    assert asked == [expected + (7733).to_bytes(2, "big")]


def test_a_proxy_that_does_not_answer_yet_is_silence() -> None:
    """tailscaled answers for a silent port only after five seconds."""

    def handle(sock: socket.socket) -> None:
        servers.exactly(sock, 3)
        sock.sendall(b"\x05\x00")
        servers.closes(sock)
        time.sleep(0.7)

    with servers.serve(handle) as port:
        assert outcome(f"127.0.0.1:{port}", 80, timeout=0.5) == "silent"


def test_a_proxy_that_is_not_there_is_no_refusal() -> None:
    assert outcome(f"127.0.0.1:{servers.closed_port()}", 80) == "error"


def test_a_proxy_that_is_none_is_an_error() -> None:
    with servers.serve(lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        assert outcome(f"127.0.0.1:{port}", 80) == "error"


@pytest.mark.parametrize("text", ["1055", "127.0.0.1", "127.0.0.1:", ":1055", "127.0.0.1:0", "127.0.0.1:65536", "a:b"])
def test_a_wrong_proxy_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected something like 127\.0\.0\.1:1055"):
        dial.split_address(text)
