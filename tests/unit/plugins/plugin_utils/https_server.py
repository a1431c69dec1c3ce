# SPDX-License-Identifier: MIT

"""An https server on this machine, and a certificate for it."""

from __future__ import annotations

import contextlib
import datetime
import http.server
import ipaddress
import ssl
import threading
import typing as t

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Server:
    """An https server: what lies at each path, bytes or the address to go on to; and what was asked for."""

    def __init__(self, port: int) -> None:
        self.files: dict[str, bytes | str] = {}
        self.asked: list[str] = []
        self.url = f"https://127.0.0.1:{port}"


def write_certificate(path: Path) -> Path:
    """A certificate for 127.0.0.1 with its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*form))
    return path
    return path


@contextlib.contextmanager
def serving(certificate: Path) -> Iterator[Server]:
    """Serves until it is left."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            there.asked.append(self.path)
            found = there.files.get(self.path, b"")
            self.send_response(302 if isinstance(found, str) else 200 if found else 404)
            if isinstance(found, str):
                self.send_header("Location", found)
            self.end_headers()
            if isinstance(found, bytes):
                self.wfile.write(found)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
        there = Server(listener.server_port)
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield there
        listener.shutdown()
        thread.join(5)
