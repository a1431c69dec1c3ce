# SPDX-License-Identifier: MIT
"""Services that are no HTTP, asked of servers on loopback."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
import typing as t

import pytest
from cryptography import x509

from ansible_collections.wonder.mesh.plugins.module_utils import _probe_stream as stream
from tests.unit.probe import servers
from tests.unit.probe.test_public import certificate as certificate  # a fixture

if t.TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HOLD_SECONDS", 0.5)
    monkeypatch.setattr(stream, "ASK_SECONDS", 0.3)


def probe(url: str, send: str = "") -> tuple[bool, str]:
    found = stream.probe_stream("x", url, send)
    assert (found["name"], found["url"]) == ("x", url)
    return found["open"], found["error"]


def test_a_connection_that_stays_is_a_service() -> None:
    with servers.serve(lambda sock: time.sleep(1)) as port:
        assert probe(f"tcp://127.0.0.1:{port}") == (True, "")


def test_a_byte_is_a_service_even_if_the_connection_ends() -> None:
    with servers.serve(lambda sock: sock.sendall(b"hi")) as port:
        assert probe(f"tcp://127.0.0.1:{port}") == (True, "")


def test_a_connection_that_is_closed_without_a_byte_is_none() -> None:
    with servers.serve(lambda sock: None) as port:
        assert probe(f"tcp://127.0.0.1:{port}") == (
            False, "the connection was opened and then closed without a byte",
        )  # fmt: skip


def test_a_reset_is_none() -> None:
    def reset(sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with servers.serve(reset) as port:
        assert probe(f"tcp://127.0.0.1:{port}")[0] is False


def test_a_closed_port_is_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    is_open, error = probe(f"tcp://127.0.0.1:{port}")
    assert (is_open, "refused the connection" in error) == (False, True)


def test_a_handshake_gives_the_certificate_whoever_signed_it(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def handshake(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            tls.recv(1)

    with servers.serve(handshake) as port:
        found = stream.probe_stream("git", f"tls://localhost:{port}", "")
    assert (found["open"], found["error"]) == (True, "")
    assert x509.load_pem_x509_certificate(found["certificate"].encode()).subject.rfc4514_string() == "CN=test"


def test_another_address_is_called_and_the_name_asked_for(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)

    def handshake(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            tls.recv(1)

    with servers.serve(handshake) as port:
        found = stream.probe_stream("git", f"tls://no-such-host.invalid:{port}", "", "127.0.0.1")
    assert (found["open"], names) == (True, ["no-such-host.invalid"])


def test_a_server_without_tls_is_none() -> None:
    with servers.serve(lambda sock: sock.sendall(b"220 smtp.example.com\r\n")) as port:
        assert probe(f"tls://localhost:{port}")[0] is False


class Packets:
    """A UDP server that answers from the given packet on; 0 is never."""

    def __init__(self, answer_from: int) -> None:
        self.seen: list[bytes] = []
        self._from = answer_from
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(3)
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        try:
            while len(self.seen) < (self._from or stream.ASKS):
                packet, sender = self._socket.recvfrom(100)
                self.seen.append(packet)
            if self._from:
                self._socket.sendto(b"pong", sender)
        except TimeoutError:
            pass

    def close(self) -> None:
        self._thread.join()
        self._socket.close()


@pytest.mark.parametrize("lost", [0, 2])
def test_any_answer_to_the_text_is_a_service(lost: int) -> None:
    server = Packets(lost + 1)
    assert probe(f"udp://127.0.0.1:{server.port}", "ping") == (True, "")
    server.close()
    assert server.seen == [b"ping"] * (lost + 1)


def test_silence_is_none() -> None:
    server = Packets(0)
    is_open, error = probe(f"udp://127.0.0.1:{server.port}", "ping")
    server.close()
    assert (is_open, error) == (False, "no answer to 3 packets within 1 s")


@pytest.mark.parametrize("url", ["gopher://127.0.0.1:70", "tcp://127.0.0.1", "tcp://:80"])
def test_an_odd_url_is_a_measurement_too(url: str) -> None:
    is_open, error = probe(url)
    assert (is_open, error.startswith("it must be like tcp://HOST:PORT")) == (False, True)
