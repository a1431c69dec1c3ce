# SPDX-License-Identifier: MIT
"""Gateways for the same names get certificates over HTTP, whichever of them the authority asks: Caddys and Pebble."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest
from cryptography import x509

from ansible_collections.wonder.mesh.plugins.filter.caddy_config import caddy_config
from fleet.authority import Authority
from tests.pebble import prepare
from tests.programs.gateway import Gateway, free_port, listens
from tests.unit.plugins.plugin_utils.mesh_world import model

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model

NAME = "hello.example.com"
NAMED = "hub"  # the one that DNS leads to; it asks the others in the order of their names
DOWN = "edge"
PLACES = {"edge": "127.0.0.2", "hub": "127.0.0.3", "spare": "127.0.0.4", "third": "127.0.0.5"}
UP = sorted(PLACES.keys() - {DOWN})
PATIENCE = 40  # seconds for a certificate
SOON = 5  # seconds for an answer
A = 1  # the type of a DNS record with an IPv4 address


class Gate(Gateway):
    """One at an address of its own, with the same ports as the others and without certificates."""

    def __init__(self, name: str, place: Path, work: Path, front: Path, ports: tuple[int, int]) -> None:
        super().__init__(place, Authority("nobody"), [NAME], work)
        self.name, self.address, self.ports, self._front = name, PLACES[name], ports, front
        self.log, self.socket, self.port = place / "log", f"unix/{place}/admin.sock", ports[1]

    @property
    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.place), "PATH": "/usr/bin:/bin", "SSL_CERT_FILE": str(self._front)}

    def prepare(self, mesh: Model, authority: str) -> None:
        web, secure = self.ports
        text = json.dumps(caddy_config(mesh, self.name, acme_ca=authority))
        for name, address in PLACES.items():
            public = mesh["hosts"][name]["public_address"] or ""
            text = text.replace(f"[{public}]:80" if ":" in public else f"{public}:80", f"{address}:{web}")
        config = json.loads(text)
        config["admin"]["listen"] = self.socket
        config["apps"]["http"] |= {"http_port": web, "https_port": secure}
        for server, port in (("http", web), ("https", secure)):
            config["apps"]["http"]["servers"][server]["listen"] = [f"{self.address}:{port}"]
        self.write(config)

    def issuer(self) -> str:
        """Who signed the certificate that it shows; waits for one that is not empty."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with (
                contextlib.suppress(OSError),
                socket.create_connection((self.address, self.port), 5) as plain,
                context.wrap_socket(plain, server_hostname=NAME) as sock,
            ):
                certificate = sock.getpeercert(binary_form=True)
                assert certificate is not None
                return x509.load_der_x509_certificate(certificate).issuer.rfc4514_string()
            time.sleep(0.2)
        return self.log.read_text(encoding="utf-8")

    def challenge(self, token: str) -> int:
        """The status of what it says to the authority."""
        connection = http.client.HTTPConnection(self.address, self.ports[0], timeout=SOON)
        with contextlib.closing(connection):
            connection.request("GET", f"/.well-known/acme-challenge/{token}", headers={"Host": NAME})
            return connection.getresponse().status


@contextlib.contextmanager
def dns(address: str) -> Iterator[str]:
    """A DNS server, over TCP as Pebble wants it, that knows one address for every name."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        asked = connection.recv(2000)[2:]
                        end = asked.index(b"\0", 12) + 5
                        known = int.from_bytes(asked[end - 4 : end - 2], "big") == A
                        record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(address) if known else b""
                        counts = bytes([0, 1, 0, known, 0, 0, 0, 0])
                        said = asked[:2] + b"\x85\x80" + counts + asked[12:end] + record
                        connection.sendall(len(said).to_bytes(2, "big") + said)

        threading.Thread(target=answer, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(scope="module")
def gates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Gate]]:
    """Those that are up, while the authority asks only one of them."""
    place = tmp_path_factory.mktemp("acme")
    port, ports = free_port(), (free_port(), free_port())
    pebble = prepare(place, "localhost", (f"127.0.0.1:{port}", f"127.0.0.1:{free_port()}"), ports)
    (place / "front.pem").write_text(pebble.front, encoding="utf-8")
    mesh = model(
        groups={"gateways": sorted(PLACES), "nodes": [*PLACES, "mini-1", "mini-2", "nas", "laptop"]},
        hosts={
            "spare": {"mesh_public_address": "203.0.113.13"},
            "third": {"mesh_public_address": "2001:db8::14"},
        },
        everywhere={"mesh_dns_check": "warn"},
    )
    with contextlib.ExitStack() as stack:
        resolver = stack.enter_context(dns(PLACES[NAMED]))
        log = stack.enter_context((place / "pebble.log").open("w", encoding="utf-8"))
        command = [*pebble.command, "-dnsserver", resolver]
        # Without its usual pauses, and without its usual refusals of what is in order.
        environment = os.environ | {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
        authority = stack.enter_context(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        stack.callback(authority.terminate)
        until = time.monotonic() + PATIENCE
        while not listens(port):
            assert time.monotonic() < until
            time.sleep(0.1)
        found: dict[str, Gate] = {}
        for name in UP:
            (place / name).mkdir()
            found[name] = Gate(name, place / name, place, place / "front.pem", ports)
            found[name].prepare(mesh, f"https://localhost:{port}/dir")
            stack.enter_context(found[name].running())
        yield found
        print((place / "pebble.log").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", UP)
def test_gateways_get_certificates_though_the_authority_asks_only_one_and_another_is_down(
    gates: dict[str, Gate], name: str
) -> None:
    assert "Pebble Intermediate CA" in gates[name].issuer()


@pytest.mark.parametrize("name", UP)
def test_what_no_gateway_knows_does_not_go_round_among_them(gates: dict[str, Gate], name: str) -> None:
    assert gates[name].challenge("unknown") == 308
