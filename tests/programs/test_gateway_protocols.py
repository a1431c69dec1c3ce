# SPDX-License-Identifier: MIT
"""What a gateway speaks besides HTTP/1, to clients and to nodes, and how long it listens: a real Caddy."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs
from ansible_collections.wonder.mesh.plugins.plugin_utils._caddy_access import FROM_CLIENT, IDENTITY
from fleet.authority import Authority
from tests.programs.gateway import HEALTH, PATIENCE, Asked, Gateway, Program, free_port
from tests.unit.plugins.plugin_utils.mesh_world import model

if t.TYPE_CHECKING:
    from collections.abc import Iterator

SPEAKER = Path(__file__).with_name("speaker")
NAMES = ("open", "grpc", "twice")
STRANGER = "127.0.0.3"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"  # of the PROXY protocol, version 2
RANGE = 3  # ports
HEADER_SECONDS = 10  # that a header may take


class World(t.NamedTuple):
    gateway: Gateway
    speaker: Path
    authority: Path
    told: int  # the gateway's port of a tcp service whose node is told who comes
    first: int  # of a range of ports of the gateway

    def speak(self, what: str, name: str) -> str:
        command = [
            str(self.speaker),
            what,
            f"127.0.0.1:{self.gateway.port}",
            f"{name}.example.com",
            str(self.authority),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        return done.stdout.strip() or done.stderr


def free_range(count: int) -> int:
    """The first of so many ports in a row."""
    for first in range(20_000, 30_000, count):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
    raise OSError("no ports are free")


@contextlib.contextmanager
def lines(port: int = 0) -> Iterator[int]:
    """A program that says in one line what it heard first, and by which of its ports."""
    with socket.create_server(("127.0.0.1", port)) as server:
        own = int(server.getsockname()[1])

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.settimeout(PATIENCE)
                        heard = b""
                        while b"hello" not in heard and (more := connection.recv(1000)):
                            heard += more
                        connection.sendall(f"{own} ".encode() + heard)

        threading.Thread(target=answer, daemon=True).start()
        yield own


@contextlib.contextmanager
def speaking(speaker: Path) -> Iterator[int]:
    """A program of gRPC, and its port."""
    with subprocess.Popen([str(speaker), "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.stdin.close()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    place, authority = tmp_path_factory.mktemp("gateway"), Authority("servers")
    build = ["go", "build", *_programs.BUILD_FLAGS, "-o", str(place / "speaker"), "."]
    subprocess.run(build, cwd=SPEAKER, env=os.environ | _programs.BUILD_ENVIRONMENT, check=True, timeout=600)
    (place / "authority.pem").write_text(authority.certificate, encoding="utf-8")
    with contextlib.ExitStack() as stack:
        program = stack.enter_context(Program(Asked))
        grpc, again = (stack.enter_context(speaking(place / "speaker")) for _ in range(2))
        told, own = stack.enter_context(lines()), free_range(RANGE)
        for number in range(RANGE):
            stack.enter_context(lines(own + number))
        first, public = free_range(RANGE), free_port()
        services: list[dict[str, t.Any]] = [
            {"name": "open", "host": "open.example.com", "port": program.port, "health": HEALTH},
            {"name": "grpc", "host": "grpc.example.com", "port": grpc, "h2c": True},
            {"name": "twice", "host": "twice.example.com", "port": grpc, "h2c": True},
            {"name": "told", "protocol": "tcp", "port": told, "public_port": public, "proxy_protocol": True},
            {"name": "many", "protocol": "tcp", "port": f"{own}-{own + RANGE - 1}",
             "public_port": f"{first}-{first + RANGE - 1}"},
        ]  # fmt: skip
        replica = {"name": "twice", "host": "twice.example.com", "port": again, "h2c": True}
        mesh = model(
            hosts={
                "nas": {"mesh_services": services},
                "laptop": {"mesh_services": [replica]},
                **{name: {"mesh_services": None} for name in ("mini-1", "mini-2")},
            },
            everywhere={"mesh_dns_check": "warn"},
        )
        gateway = Gateway(place, authority, [f"{name}.example.com" for name in NAMES])
        gateway.write(gateway.configure(mesh))
        stack.enter_context(gateway.running())
        yield World(gateway, place / "speaker", place / "authority.pem", public, first)


@pytest.mark.parametrize("name", ["grpc", "twice"])
def test_grpc_goes_through_by_calls_and_by_streams(here: World, name: str) -> None:
    assert here.speak("grpc", name) == "SERVING SERVING"


def test_a_program_of_grpc_says_to_a_get_what_the_proof_expects(here: World) -> None:
    assert here.gateway.ask("grpc.example.com").status in (405, 415)


def test_a_client_may_speak_http_3(here: World) -> None:
    protocol, status, body = here.speak("http3", "open").split(" ", 2)
    assert (protocol, status) == ("HTTP/3.0", "200")
    assert '"x-forwarded-for": "127.0.0.1"' in body


def test_the_gateway_says_that_it_speaks_http_3(here: World) -> None:
    assert "h3=" in here.gateway.ask("open.example.com").headers["alt-svc"]


def said_by(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), PATIENCE, (STRANGER, 0)) as sock:
        sock.sendall(b"hello")
        return sock.makefile("rb").read()


def test_a_node_is_told_who_comes_by_the_proxy_protocol(here: World) -> None:
    heard = said_by(here.told).partition(b" ")[2]
    source = struct.unpack_from("!4s", heard, len(SIGNATURE) + 4)[0]
    assert heard.startswith(SIGNATURE)
    assert socket.inet_ntoa(source) == STRANGER
    assert heard.endswith(b"hello")


def test_each_port_of_a_range_leads_to_its_own(here: World) -> None:
    said = [int(said_by(here.first + number).split()[0]) for number in range(RANGE)]
    assert said == list(range(said[0], said[0] + RANGE))


@pytest.mark.parametrize("name", [*FROM_CLIENT, IDENTITY])
def test_no_header_gets_through_by_which_a_client_says_who_or_where_it_is(here: World, name: str) -> None:
    seen = here.gateway.ask("open.example.com", headers={name: "192.0.2.1"}).seen["headers"]
    assert name.lower() not in seen
    assert seen["x-real-ip"] == "127.0.0.1"


def test_a_header_that_does_not_come_is_not_waited_for(here: World) -> None:
    began = time.monotonic()
    with here.gateway.connect("open.example.com") as sock:
        sock.settimeout(2 * HEADER_SECONDS)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: open.example.com\r\n")
        assert b" 200 " not in sock.recv(1000)
    assert 0.5 * HEADER_SECONDS < time.monotonic() - began < 1.5 * HEADER_SECONDS


def test_a_header_beyond_the_limit_is_refused(here: World) -> None:
    large = {f"X-Large-{number}": "x" * 8000 for number in range(6)}
    assert here.gateway.ask("open.example.com", headers=large).status == 431
