# SPDX-License-Identifier: MIT
"""Who may come to a service, and who not: a real Caddy with the configuration that is made of an inventory."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime
import socket
import ssl
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest

from fleet.authority import Authority, write_private
from tests.programs.gateway import HEALTH, Answer, Asked, Gateway, Program, free_port
from tests.unit.plugins.plugin_utils.mesh_world import model, world

if t.TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime.datetime.now(datetime.UTC)
NAMES = ("open", "near", "auth", "login", "mtls", "other", "small", "slow", "git")
FRIEND, STRANGER = "127.0.0.2", "127.0.0.3"
SILENT = 4  # seconds, twice as long as its service may be
PASSWORD = "correct horse"  # noqa: S105 - of nobody
SPOOFED = {"X-Forwarded-For": FRIEND, "X-Real-IP": FRIEND, "Forwarded": f"for={FRIEND}"}
CLAIMED = {"Remote-User": "root", "Remote-Groups": "admins"}


class Gate(Asked):
    """An auth service: lets in who has the cookie, and says who it is."""

    def respond(self) -> None:
        asked = self.note()
        if asked["headers"].get("cookie") == "session=alice":
            self.answer(200, b"", {"Remote-User": "alice"})
        else:
            self.answer(302, b"", {"Location": "https://auth.example.com/login"})


class Slow(Asked):
    """A program that says nothing for a while, and then takes its time."""

    def respond(self) -> None:
        asked = self.note()
        if asked["path"] == "/slow/silent":
            time.sleep(SILENT)
        if asked["path"] == HEALTH:
            self.answer(200, b"")
            return
        if "upgrade" in asked["headers"]:
            self.echo()
            return
        with contextlib.suppress(OSError):  # who asked may be gone
            self.send_response(200)
            self.send_header("Content-Length", "6")
            self.end_headers()
            for _ in range(6):
                self.wfile.write(b".")
                self.wfile.flush()
                time.sleep(0.6)


class World(t.NamedTuple):
    gateway: Gateway
    program: Program
    gate: Program
    ports: dict[str, int]
    friend: tuple[str, str]  # files of a client's certificate
    foreign: tuple[str, str]

    def basic(self, path: str, user: str, password: str) -> Answer:
        said = base64.b64encode(f"{user}:{password}".encode()).decode()
        return self.gateway.ask("auth.example.com", path, headers={"Authorization": f"Basic {said}", **CLAIMED})


def client(place: Path, authority: Authority, name: str) -> tuple[str, str]:
    certificate, key = authority.issue([name], client=True)
    (place / f"{name}.crt").write_text(certificate)
    write_private(place / f"{name}.key", key)
    return str(place / f"{name}.crt"), str(place / f"{name}.key")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    place, ours, theirs = tmp_path_factory.mktemp("gateway"), Authority("clients"), Authority("others")
    servers = Authority("servers")
    (place / "clients.pem").write_text(ours.certificate)
    with contextlib.ExitStack() as stack:
        program, gate, slow = (stack.enter_context(Program(each)) for each in (Asked, Gate, Slow))
        line = stack.enter_context(lines())
        ports = {each: free_port() for each in ("tcp", "udp")}
        forward = {"url": f"http://nas.mesh.example.com:{gate.port}/verify?all", "headers": list(CLAIMED)}
        services: list[dict[str, t.Any]] = [
            {"name": "open"},
            {"name": "near", "allow": [f"{FRIEND}/32", "192.0.2.0/24"]},
            {"name": "auth", "basic_auth": ["alice"]},
            {"name": "auth-public", "host": "auth.example.com", "path": "/public"},
            {"name": "login", "forward_auth": forward},
            {"name": "gate", "host": "open.example.com", "path": "/gate", "port": gate.port},
            {"name": "dead", "host": "login.example.com", "path": "/dead",
             "forward_auth": {"url": f"http://127.0.0.1:{free_port()}/verify"}},
            {"name": "mtls", "client_certificates": str(place / "clients.pem")},
            {"name": "small", "max_body": "1kB"},
            {"name": "talk", "host": "login.example.com", "path": "/talk", "forward_auth": forward, "timeout": "2s",
             "max_body": "1kB", "port": slow.port},
            {"name": "slow", "path": "/slow", "timeout": "2s", "port": slow.port},
            {"name": "tcp", "protocol": "tcp", "port": line, "public_port": ports["tcp"], "allow": [FRIEND]},
            {"name": "udp", "protocol": "udp", "port": line, "public_port": ports["udp"], "allow": [FRIEND]},
            {"name": "git", "protocol": "tls", "port": line, "allow": [FRIEND]},
        ]  # fmt: skip
        for each in services:
            each.setdefault("port", program.port)
            if each.get("protocol", "http") in ("http", "tls"):
                each.setdefault("host", f"{each['name']}.example.com")
            if each.get("protocol", "http") == "http":
                each["health"] = HEALTH
        gateway = Gateway(place, servers, [f"{name}.example.com" for name in NAMES])
        users = {"alice": hash_of(gateway)}
        mesh = model(
            hosts={
                "nas": {"mesh_services": services},
                "edge": {"caddy_users": users},
                **{name: {"mesh_services": None} for name in ("mini-1", "mini-2")},
            },
            everywhere={"mesh_dns_check": "warn"},
            around=dataclasses.replace(world(), read_file=lambda path: Path(path).read_bytes(), now=NOW),
        )
        gateway.write(gateway.configure(mesh, users))
        stack.enter_context(gateway.running())
        yield World(gateway, program, gate, ports, client(place, ours, "friend"), client(place, theirs, "foreign"))


def hash_of(gateway: Gateway) -> str:
    command = [gateway.binary, "hash-password", "--bcrypt-cost", "10", "--plaintext", PASSWORD]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


@contextlib.contextmanager
def lines() -> Iterator[int]:
    """A port that says hello to each TCP connection, and answers each UDP packet with itself."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.bind(tcp.getsockname())

        def greet() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = tcp.accept()
                    with connection:
                        connection.sendall(b"hello")

        def echo() -> None:
            with contextlib.suppress(OSError):
                while True:
                    udp.sendto(*udp.recvfrom(2000))

        for each in (greet, echo):
            threading.Thread(target=each, daemon=True).start()
        yield int(tcp.getsockname()[1])


def said_by_tcp(here: World, source: str) -> bytes:
    with socket.create_connection(("127.0.0.1", here.ports["tcp"]), 5, (source, 0)) as sock:
        try:
            return sock.recv(100)
        except ConnectionResetError:
            return b""


def said_by_udp(here: World, source: str) -> bytes:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.settimeout(2)
        sock.sendto(b"word", ("127.0.0.1", here.ports["udp"]))
        try:
            return sock.recv(100)
        except TimeoutError:
            return b""


# From where one comes.


def test_who_comes_from_a_network_that_is_allowed_is_served(here: World) -> None:
    assert here.gateway.ask("near.example.com", source=FRIEND).status == 200


@pytest.mark.parametrize("headers", [{}, SPOOFED])
def test_who_comes_from_elsewhere_is_refused_whatever_it_says(here: World, headers: dict[str, str]) -> None:
    asked = len(here.program.asked)
    assert here.gateway.ask("near.example.com", headers=headers, source=STRANGER).status == 403
    assert len(here.program.asked) == asked


def test_a_tcp_service_answers_only_those_that_may_come(here: World) -> None:
    assert (said_by_tcp(here, FRIEND), said_by_tcp(here, STRANGER)) == (b"hello", b"")


def test_a_udp_service_answers_only_those_that_may_come(here: World) -> None:
    assert (said_by_udp(here, FRIEND), said_by_udp(here, STRANGER)) == (b"word", b"")


def test_a_name_that_is_passed_on_is_passed_on_only_for_those_that_may_come(here: World) -> None:
    with pytest.raises(ssl.SSLError, match="WRONG_VERSION_NUMBER"):  # the program has said hello, which is no TLS
        here.gateway.connect("git.example.com", FRIEND)
    # The gateway has a certificate for the name, and does not use it.
    with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
        here.gateway.connect("git.example.com", STRANGER)


# By a password.


def test_a_user_with_the_password_is_served_and_the_program_learns_who_it_is(here: World) -> None:
    answer = here.basic("/", "alice", PASSWORD)
    assert (answer.status, answer.seen["headers"]["remote-user"]) == (200, "alice")
    assert not {"authorization", "remote-groups"} & set(answer.seen["headers"])


@pytest.mark.parametrize(("user", "password"), [("alice", "wrong"), ("alice", ""), ("bob", PASSWORD), ("", "")])
def test_who_has_not_the_password_is_asked_for_it(here: World, user: str, password: str) -> None:
    asked = len(here.program.asked)
    answer = here.basic("/", user, password)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Basic realm="auth"')
    assert len(here.program.asked) == asked


def test_a_path_beside_what_needs_a_password_is_open_and_tells_nobody_s_name(here: World) -> None:
    answer = here.gateway.ask("auth.example.com", "/public/x", headers=CLAIMED)
    assert (answer.status, answer.seen["path"]) == (200, "/public/x")
    assert not set(map(str.lower, CLAIMED)) & set(answer.seen["headers"])


@pytest.mark.parametrize(
    "path", ["/public/../secret", "/public/..;/secret", "//public/x", "/public/%2e%2e/secret", "/public\\..\\secret"]
)
def test_no_path_is_one_for_the_gateway_and_another_for_the_program(here: World, path: str) -> None:
    assert here.gateway.ask("auth.example.com", path).status in (400, 401)


def test_a_hash_is_in_no_configuration(here: World) -> None:
    assert "$2" not in here.gateway.config.read_text()
    assert "file." in here.gateway.config.read_text()


# By another service.


def test_whom_the_auth_service_knows_is_served_under_its_name(here: World) -> None:
    answer = here.gateway.ask("login.example.com", "/a?b", "POST", {"Cookie": "session=alice", **CLAIMED}, b"12345")
    assert (answer.status, answer.seen["body"], answer.seen["headers"]["remote-user"]) == (200, 5, "alice")
    assert "remote-groups" not in answer.seen["headers"]  # the auth service did not say any
    asked = here.gate.asked[-1]
    assert (asked["method"], asked["path"], asked["body"]) == ("GET", "/verify?all", 0)
    told = [asked["headers"].get(f"x-forwarded-{each}") for each in ("method", "uri", "host", "proto", "for")]
    assert told == ["POST", "/a?b", "login.example.com", "https", "127.0.0.1"]
    assert not set(map(str.lower, CLAIMED)) & set(asked["headers"])


def test_whom_it_does_not_know_gets_its_answer_and_not_the_program(here: World) -> None:
    asked = len(here.program.asked)
    answer = here.gateway.ask("login.example.com", headers=CLAIMED | SPOOFED)
    assert (answer.status, answer.headers["location"]) == (302, "https://auth.example.com/login")
    assert len(here.program.asked) == asked
    assert here.gate.asked[-1]["headers"]["x-forwarded-for"] == "127.0.0.1"


def test_nobody_is_let_through_while_the_auth_service_is_down(here: World) -> None:
    asked = len(here.program.asked)
    answer = here.gateway.ask("login.example.com", "/dead/x", headers={"Cookie": "session=alice"})
    assert answer.status == 503
    assert len(here.program.asked) == asked


# By a certificate.


def test_a_client_with_a_certificate_of_the_authority_is_served(here: World) -> None:
    assert here.gateway.ask("mtls.example.com", certificate=here.friend).status == 200


@pytest.mark.parametrize("kind", ["none", "foreign"])
def test_a_client_without_one_or_with_a_foreign_one_is_refused(here: World, kind: str) -> None:
    asked = len(here.program.asked)
    # It may be told while it is still speaking, and then it only sees that the connection is gone.
    with pytest.raises((ssl.SSLError, ConnectionError)):
        here.gateway.ask("mtls.example.com", certificate=here.foreign if kind == "foreign" else None)
    assert len(here.program.asked) == asked


def test_a_name_that_asks_for_no_certificate_is_no_way_to_one_that_does(here: World) -> None:
    assert here.gateway.ask("mtls.example.com", sni="open.example.com").status == 421


def test_names_beside_it_ask_for_none(here: World) -> None:
    assert here.gateway.ask("open.example.com").status == 200


# How much.


def test_a_body_beyond_the_limit_is_refused(here: World) -> None:
    assert here.gateway.ask("small.example.com", method="POST", body=b"." * 1000).seen["body"] == 1000
    assert here.gateway.ask("small.example.com", method="POST", body=b"." * 1001).status == 413


def test_a_program_that_says_nothing_is_not_waited_for(here: World) -> None:
    began = time.monotonic()
    assert here.gateway.ask("slow.example.com", "/slow/silent", "POST").status == 503
    assert time.monotonic() - began < SILENT
    # And others are served all the same.
    assert here.gateway.ask("slow.example.com", "/slow/steady").status == 200


def test_an_answer_may_take_longer_than_its_beginning(here: World) -> None:
    began = time.monotonic()
    assert here.gateway.ask("slow.example.com", "/slow/steady").body == b"......"
    assert time.monotonic() - began > 2


def test_an_upgraded_connection_is_cut_by_neither(here: World) -> None:
    said, word = b"", b"." * 5000
    with here.gateway.connect("login.example.com") as sock:
        sock.settimeout(5)
        ask = "GET /talk HTTP/1.1\r\nHost: login.example.com\r\nCookie: session=alice\r\n"
        sock.sendall(f"{ask}Connection: Upgrade\r\nUpgrade: echo\r\n\r\n".encode())
        assert sock.recv(12) == b"HTTP/1.1 101"
        while not said.endswith(b"\r\n\r\n"):
            said += sock.recv(1)
        time.sleep(SILENT)
        sock.sendall(word)
        echoed = b""
        while len(echoed) < len(word):
            echoed += sock.recv(65536)
    assert echoed == word
