# SPDX-License-Identifier: MIT
"""URLs, public ports and STUN, asked of servers on loopback."""

from __future__ import annotations

import contextlib
import datetime
import http.server
import ipaddress
import socket
import ssl
import struct
import threading
import time
import typing as t
import zlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.wonder.mesh.plugins.module_utils import _probe_public as public
from ansible_collections.wonder.mesh.plugins.module_utils import _probe_stun as stun
from tests.unit.probe import servers

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        code = int(self.path[1:4]) if self.path[1:4].isdigit() else 200
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "/200")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"hi")

    def log_message(self, *_: t.Any) -> None:
        pass


@contextlib.contextmanager
def site(context: ssl.SSLContext | None = None) -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def plain() -> Iterator[int]:
    with site() as port:
        yield port


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that signed itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "test.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with site(context) as port:
        yield port


@pytest.mark.parametrize("status", [200, 404, 502, 503])
def test_each_status_is_an_answer(plain: int, status: int) -> None:
    result = public.Fetcher()("hello", f"http://127.0.0.1:{plain}/{status}?x=1")
    assert (result["name"], result["status"], result["error"]) == ("hello", status, "")
    assert result["ms"] > 0


def test_a_redirect_is_told_and_not_followed(plain: int) -> None:
    result = public.Fetcher()("hello", f"http://127.0.0.1:{plain}/302")
    assert (result["status"], result["location"]) == (302, "/200")


def test_a_certificate_of_the_system_s_store_is_trusted(
    secure: int, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert public.Fetcher()("hello", f"https://127.0.0.1:{secure}/")["status"] == 200


def test_any_other_certificate_is_an_error(secure: int) -> None:
    result = public.Fetcher()("hello", f"https://127.0.0.1:{secure}/")
    assert result["status"] is None
    assert "CERTIFICATE_VERIFY_FAILED" in result["error"]


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "127.0.0.1", "https:///path", "http://127.0.0.1:x/", "http://127.0.0.1/a b"]
)
def test_what_is_no_url_is_an_error(url: str) -> None:
    result = public.Fetcher()("hello", url)
    assert result["status"] is None
    assert result["error"].startswith(f"no answer from {url}: ")


def test_no_server_and_no_http_are_errors() -> None:
    assert public.Fetcher()("x", f"http://127.0.0.1:{servers.closed_port()}/")["error"]
    with servers.serve(lambda sock: sock.sendall(b"SSH-2.0-x\r\n")) as port:
        assert public.Fetcher()("x", f"http://127.0.0.1:{port}/")["error"]


def test_a_server_that_says_nothing_is_an_error_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public, "URL_SECONDS", 0.3)
    with servers.serve(lambda sock: time.sleep(0.6)) as port:
        result = public.Fetcher()("x", f"http://127.0.0.1:{port}/")
    assert result["status"] is None
    assert 300 <= result["ms"] < 2000


def test_a_tcp_port() -> None:
    with servers.serve(lambda sock: None) as port:
        asked = {"name": "hub", "address": "127.0.0.1", "port": port, "protocol": "tcp"}
        assert public.probe_port(**asked) == {**asked, "open": True, "error": ""}
    shut = public.probe_port("hub", "127.0.0.1", servers.closed_port(), "tcp")
    assert (shut["open"], "refused" in shut["error"]) == (False, True)


def response(transaction: bytes, kind: int = 0x0101, attribute: int = 0x0020) -> bytes:
    """What a STUN server answers to 192.0.2.1 port 32853, after an attribute with padding (RFC 5769's addresses)."""
    software = struct.pack("!HH", 0x8022, 5) + b"tests\0\0\0"
    value = struct.pack("!BBHI", 0, 1, 32853 ^ 0x2112, 0xC0000201 ^ stun.MAGIC)
    body = software + struct.pack("!HH", attribute, len(value)) + value
    return struct.pack("!HHI", kind, len(body), stun.MAGIC) + transaction + body


@contextlib.contextmanager
def stun_server(answers: Callable[[int, bytes], bytes | None]) -> Iterator[int]:
    """A UDP server that answers the n-th request, if it is one that a DERP server takes."""
    stop = threading.Event()

    def run(sock: socket.socket) -> None:
        number = 0
        while not stop.is_set():
            try:
                packet, sender = sock.recvfrom(2048)
            except TimeoutError:
                continue
            number += 1
            if derp_takes(packet) and (answer := answers(number, packet[8:20])) is not None:
                sock.sendto(answer, sender)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0.05)
        thread = threading.Thread(target=run, args=(sock,))
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            stop.set()
            thread.join()


def derp_takes(packet: bytes) -> bool:
    """ParseBindingRequest of tailscale.com/net/stun: a good length, SOFTWARE "tailnode", FINGERPRINT at the end."""
    kind, length, magic = struct.unpack_from("!HHI", packet)
    finger = struct.pack("!HHI", 0x8028, 4, zlib.crc32(packet[:-8]) ^ 0x5354554E)
    good = (kind, length, magic) == (1, len(packet) - 20, 0x2112A442)
    return good and packet[20:32] == struct.pack("!HH", 0x8022, 8) + b"tailnode" and packet[-8:] == finger


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stun, "TRY_SECONDS", (0.1, 0.1, 0.1))


def test_a_stun_answer_tells_our_address() -> None:
    with stun_server(lambda _, transaction: response(transaction)) as port:
        assert stun.ask("127.0.0.1", port) == "192.0.2.1 32853"
        assert public.probe_port("hub", "127.0.0.1", port, "stun")["open"]


@pytest.mark.usefixtures("impatient")
def test_a_stun_request_is_sent_three_times() -> None:
    with stun_server(lambda number, transaction: response(transaction) if number == 3 else None) as port:
        assert stun.ask("127.0.0.1", port)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda _: None, "silence after 3 requests"),
        (lambda _: b"hello", "has 5 bytes"),
        (lambda _: response(bytes(12)), "another transaction id"),
        (lambda transaction: response(transaction, kind=0x0111), "no STUN binding success"),
        (lambda transaction: response(transaction, attribute=0x0006), "no XOR-MAPPED-ADDRESS"),
        (lambda transaction: response(transaction)[:-1], "no STUN binding success"),
        (lambda transaction: response(transaction) + b"x", "no STUN binding success"),
    ],
)
def test_any_other_stun_answer_is_none(answer: Callable[[bytes], bytes | None], words: str) -> None:
    with stun_server(lambda _, transaction: answer(transaction)) as port:
        result = public.probe_port("hub", "127.0.0.1", port, "stun")
    assert not result["open"]
    assert words in result["error"]


def test_a_closed_udp_port_and_a_name_that_does_not_resolve_are_named() -> None:
    assert "refused" in public.probe_port("hub", "127.0.0.1", servers.closed_port(), "stun")["error"]
    assert "does not resolve" in public.probe_port("hub", "no-such-host.invalid", 3478, "stun")["error"]


def test_reads_an_ipv6_address() -> None:
    transaction = bytes(range(12))
    mask = struct.pack("!I", stun.MAGIC) + transaction
    address = ipaddress.ip_address("2001:db8::1").packed
    value = struct.pack("!BBH", 0, 2, 32853 ^ 0x2112) + bytes(a ^ b for a, b in zip(address, mask, strict=True))
    packet = struct.pack("!HHI", 0x0101, 4 + len(value), stun.MAGIC) + transaction
    packet += struct.pack("!HH", 0x0020, len(value)) + value
    assert stun.parse(packet, transaction) == "2001:db8::1 32853"
