# SPDX-License-Identifier: MIT
"""The asking side does not believe a path that damages data, and says in words what went wrong."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import time
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils import _probe_protocol as protocol
from tests.unit.probe import servers

if t.TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 5000


def answer(
    sock: socket.socket,
    *,
    arrived: Callable[[bytes], bytes] = bytes,
    fresh: Callable[[bytes], bytes] = bytes,
    size: int = SIZE,
) -> None:
    """A responder behind a path that changes what arrives, or what is sent back."""
    servers.exactly(sock, protocol.HEADER_BYTES)
    data = arrived(servers.exactly(sock, SIZE))
    sock.sendall(f"{size} {hashlib.sha256(data).hexdigest()}\n".encode())
    data = os.urandom(SIZE)
    sock.sendall(fresh(data) + f"{hashlib.sha256(data).hexdigest()}\n".encode())


def flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def ask(handle: Callable[[socket.socket], None], seconds: float = servers.LIMIT) -> protocol.Exchange:
    with servers.serve(handle) as port, socket.create_connection(("127.0.0.1", port)) as sock:
        return protocol.exchange(sock, SIZE, time.monotonic() + seconds)


def test_equal_hashes_both_ways_are_carried() -> None:
    assert ask(answer) == protocol.Exchange(carried=True, sent=SIZE, received=SIZE)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ({"arrived": flip}, "arrived, with another hash"),
        ({"fresh": flip}, "received have another hash"),
        ({"arrived": flip, "fresh": flip}, "damages"),
        ({"size": SIZE - 1}, f"{SIZE - 1} arrived"),
        ({"fresh": lambda data: data[:-1]}, "received have another hash"),
    ],
)
def test_is_never_carried_when_bytes_differ(damage: dict[str, t.Any], words: str) -> None:
    done = ask(lambda sock: answer(sock, **damage))
    assert not done.carried
    assert words in done.error


@pytest.mark.parametrize(
    "banner", [b"SSH-2.0-OpenSSH_9.2p1\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"x" * 1000, b"\xff\xfe\n"]
)
def test_something_else_on_the_port_is_named(banner: bytes) -> None:
    def handle(sock: socket.socket) -> None:
        sock.sendall(banner)
        servers.exactly(sock, protocol.HEADER_BYTES + SIZE)

    done = ask(handle)
    assert not done.carried
    assert done.sent == 0
    assert "something else listens" in done.error


def test_silence_ends_in_time_and_counts_no_byte() -> None:
    """The kernel took all bytes, but nobody said that they arrived."""
    begin = time.monotonic()
    done = ask(lambda sock: servers.closes(sock) or time.sleep(0.6), seconds=0.4)
    assert time.monotonic() - begin < 3
    assert (done.carried, done.sent, done.received) == (False, 0, 0)
    assert done.error


def test_an_echo_with_other_bytes_is_an_error() -> None:
    def handle(sock: socket.socket) -> None:
        servers.exactly(sock, protocol.HEADER_BYTES)
        sock.sendall(flip(servers.exactly(sock, protocol.ECHO_BYTES)))

    with (
        servers.serve(handle) as port,
        socket.create_connection(("127.0.0.1", port)) as sock,
        pytest.raises(protocol.ProtocolError, match="other bytes"),
    ):
        protocol.echo(sock, time.monotonic() + servers.LIMIT)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("TLSV1_ALERT_INTERNAL_ERROR", "it has no certificate for this name"),
        ("WRONG_VERSION_NUMBER", "it does not speak TLS"),
        ("NO_CIPHERS_AVAILABLE", "[SSL: NO_CIPHERS_AVAILABLE] no ciphers available"),
    ],
)
def test_what_openssl_says_is_told_in_words_where_it_is_known(reason: str, words: str) -> None:
    exc = ssl.SSLError(1, f"[SSL: {reason}] {reason.lower().replace('_', ' ')}")
    exc.reason = reason
    assert protocol.describe(exc) == words
