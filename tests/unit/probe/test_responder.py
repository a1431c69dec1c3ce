# SPDX-License-Identifier: MIT
"""The responder as it runs on a host, and its bounds."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
import subprocess
import sys
import threading
import time
import types
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils import _probe_protocol as protocol
from tests.unit.probe import servers

if t.TYPE_CHECKING:
    from collections.abc import Iterator


def soon() -> float:
    return time.monotonic() + servers.LIMIT


@pytest.fixture(scope="module")
def responder() -> Iterator[servers.Responder]:
    with servers.responder() as running:
        yield running


@pytest.fixture
def code() -> types.ModuleType:
    """The responder's file as a module."""
    spec = importlib.util.spec_from_file_location("mesh_probe_responder", servers.RESPONDER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(servers.LIMIT)
        yield ours, theirs


@pytest.mark.parametrize(
    "name", ["GREETING", "HEADER_BYTES", "ECHO_LIMIT", "LIMIT", "REQUESTS", "CONNECTION_SECONDS", "CHUNK"]
)
def test_both_sides_use_the_same_numbers(code: types.ModuleType, name: str) -> None:
    assert getattr(code, name) == getattr(protocol, name)


def test_echoes(responder: servers.Responder) -> None:
    with responder.connect() as sock:
        assert all(0 < protocol.echo(sock, soon()) < servers.LIMIT for _ in range(20))


def test_exchanges_a_mebibyte_each_way_with_equal_hashes(responder: servers.Responder) -> None:
    with responder.connect() as sock:
        done = protocol.exchange(sock, protocol.LIMIT, soon())
    assert done == protocol.Exchange(carried=True, sent=protocol.LIMIT, received=protocol.LIMIT)


def test_every_answer_is_fresh(responder: servers.Responder) -> None:
    def answer() -> bytes:
        with responder.connect() as sock:
            sock.sendall(protocol.request("exchange", 100) + bytes(100))
            return servers.exactly(sock, 4 + 64 + 1 + 100 + 65)

    first, second = answer(), answer()
    assert first[:69] == second[:69]
    assert first[69:169] != second[69:169]


def test_an_answer_is_never_longer_than_the_question(responder: servers.Responder) -> None:
    for size in (1, 100, 100_000):
        with responder.connect() as sock:
            sock.sendall(protocol.request("exchange", size) + bytes(size))
            sock.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda sock=sock: sock.recv(65536), b""))
        assert size < len(answer) <= protocol.HEADER_BYTES + size


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".ljust(protocol.HEADER_BYTES),
        b"\x16\x03\x01" + bytes(protocol.HEADER_BYTES - 3),
        protocol.request("steal", 10) + bytes(10),
        protocol.request("echo", 0),
        protocol.request("echo", -1),
        protocol.request("echo", protocol.ECHO_LIMIT + 1),
        protocol.request("exchange", protocol.LIMIT + 1),
        protocol.request("exchange", 10**30),
        protocol.request("exchange", 10).replace(b"mesh-probe 1", b"mesh-probe 2"),
        protocol.request("exchange 7", 10),
        b"\n" * protocol.HEADER_BYTES,
    ],
)
def test_garbage_closes_the_connection(responder: servers.Responder, garbage: bytes) -> None:
    with responder.connect() as sock:
        sock.sendall(garbage)
        assert servers.closes(sock)
    with responder.connect() as sock:
        assert protocol.echo(sock, soon()) > 0


def test_takes_no_second_mebibyte_on_a_connection(responder: servers.Responder) -> None:
    with responder.connect() as sock:
        assert protocol.exchange(sock, protocol.LIMIT, soon()).carried
        sock.sendall(protocol.request("echo", 1))
        assert servers.closes(sock)


def test_takes_only_so_many_requests_on_a_connection(responder: servers.Responder) -> None:
    with responder.connect() as sock:
        for _ in range(protocol.REQUESTS):
            protocol.echo(sock, soon())
        assert servers.closes(sock)


def test_serves_64_connections_at_once_and_no_more(responder: servers.Responder) -> None:
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(responder.connect()) for _ in range(64)]
        assert all(protocol.echo(sock, soon()) > 0 for sock in socks)
        with responder.connect() as sock:
            assert servers.closes(sock)
        assert protocol.echo(socks[0], soon()) > 0


def test_stays_small(responder: servers.Responder) -> None:
    def work() -> None:
        with responder.connect() as sock:
            assert protocol.exchange(sock, protocol.LIMIT, soon()).carried

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert responder.memory("VmHWM") < 48 * 1024


def test_ends_itself_when_idle_and_logs_nothing() -> None:
    with servers.responder(idle=0.5) as running:
        with running.connect() as sock:
            sock.sendall(b"garbage".ljust(protocol.HEADER_BYTES))
            assert servers.closes(sock)
        assert running.process.wait(servers.LIMIT) == 0
        assert running.process.stdout is not None
        assert running.process.stdout.read() == ""


def test_does_not_end_while_somebody_is_connected() -> None:
    with servers.responder(idle=0.3) as running, running.connect() as sock:
        for _ in range(4):
            protocol.echo(sock, soon())
            time.sleep(0.3)
        assert running.process.poll() is None


def test_says_what_to_start_when_it_got_no_socket() -> None:
    done = subprocess.run([sys.executable, str(servers.RESPONDER)], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "start mesh-probe.socket" in done.stderr


def test_a_connection_ends_after_its_time(
    code: types.ModuleType, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code, "CONNECTION_SECONDS", 0.2)
    begin = time.monotonic()
    with pytest.raises((code.NotOurs, TimeoutError)):
        code.Connection(pair[1]).serve()
    assert 0.2 <= time.monotonic() - begin < 2


def test_never_sends_more_than_it_received(code: types.ModuleType, pair: tuple[socket.socket, socket.socket]) -> None:
    connection = code.Connection(pair[1])
    pair[0].sendall(bytes(10))
    connection._read(10)
    connection._write(bytes(10))
    with pytest.raises(code.NotOurs):
        connection._write(b"x")
