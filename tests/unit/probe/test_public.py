# SPDX-License-Identifier: MIT
"""URLs and public ports, asked of servers on loopback."""

from __future__ import annotations

import contextlib
import datetime
import http.server
import ipaddress
import ssl
import threading
import time
import typing as t

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.wonder.mesh.plugins.module_utils import _probe_public as public
from tests.unit.probe import servers

if t.TYPE_CHECKING:
    from collections.abc import Iterator
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


def test_another_address_is_called_and_the_name_asked_for(
    secure: int, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    url = f"https://no-such-host.invalid:{secure}/"
    assert public.Fetcher()("hello", url, private=True, address="127.0.0.1")["status"] == 200
    assert "Hostname mismatch" in public.Fetcher()("hello", url, address="127.0.0.1")["error"]


def test_a_private_certificate_is_none_of_the_store_s(secure: int) -> None:
    assert public.Fetcher()("hello", f"https://127.0.0.1:{secure}/", private=True)["status"] == 200


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
