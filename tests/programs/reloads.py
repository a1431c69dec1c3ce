# SPDX-License-Identifier: MIT
"""What is loaded and said through a gateway while it is reloaded: the programs behind it, and the clients before it.

Downloads take a part for each reload, so that all of them fall into it.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import http.client
import os
import socket
import socketserver
import threading
import time
import typing as t

from tests.programs.gateway import PATIENCE, Asked

if t.TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from tests.programs.gateway import Gateway

NAME = "files.example.com"
RELOADS = 100
SIZE, BLOCK = 1 << 30, 1 << 20  # bytes
BLOCKS = SIZE // BLOCK
BASE = os.urandom(BLOCK - 8)
PAUSE = 0.02  # seconds between two words


def blocks() -> Iterator[bytes]:
    """The bytes of a download, each block of them another."""
    for number in range(BLOCKS):
        yield number.to_bytes(8, "big") + BASE


class Pace:
    """Gives the parts of a download free, one with each reload that begins."""

    def __init__(self) -> None:
        self._begun = 0
        self._changed = threading.Condition()
        self.over = threading.Event()

    def begin(self) -> None:
        with self._changed:
            self._begun += 1
            self._changed.notify_all()

    def send(self, connection: socket.socket) -> None:
        for number, block in enumerate(blocks()):
            with self._changed:
                self._changed.wait_for(lambda part=number * RELOADS // BLOCKS: self._begun > part, 60)
            connection.sendall(block)


PACE = Pace()


class Files(Asked):
    """A program with one large file, and with an upgrade to a stream that says what it hears, like WebSocket."""

    def respond(self) -> None:
        asked = self.note()
        if asked["path"] == "/large":
            self.send_response(200)
            self.send_header("Content-Length", str(SIZE))
            self.end_headers()
            PACE.send(self.connection)
        elif "upgrade" in asked["headers"]:
            self.echo()
        else:
            self.answer(200, b"hello")


class Line(socketserver.BaseRequestHandler):
    """A program that is no HTTP: the first byte says what it is to do."""

    def handle(self) -> None:
        if self.request.recv(1) == b"L":
            PACE.send(self.request)
        while chunk := self.request.recv(65536):
            self.request.sendall(chunk)


class Lines(socketserver.ThreadingTCPServer):
    daemon_threads = True


class Load:
    """What clients saw. Of each kind of talk: how often it went well, and what went wrong."""

    def __init__(self, gateway: Gateway, port: int) -> None:
        self.gateway, self.port = gateway, port
        self.well: collections.Counter[str] = collections.Counter()
        self.wrong: list[tuple[str, str]] = []
        self.sums: dict[str, str] = {}
        self.open = contextlib.ExitStack()

    def repeat(self, kind: str, say: Callable[[], None]) -> None:
        while not PACE.over.is_set():
            try:
                say()
                self.well[kind] += 1
            except (OSError, http.client.HTTPException) as exc:
                self.wrong.append((kind, repr(exc)))
            time.sleep(PAUSE)

    def fresh(self) -> None:
        """A request on a connection of its own."""
        found = self.gateway.ask(NAME, headers={"Connection": "close"})
        if found.body != b"hello":
            raise OSError(f"{found.status} {found.body!r}")

    def kept(self) -> Callable[[], None]:
        """Requests on a connection that is kept. When it is closed before an answer has begun, as a server may at any
        time, the request is made again on a new one, as all clients do."""
        kept: list[ssl.SSLSocket] = []

        def answer() -> bytes:
            if not kept:
                kept.append(self.open.enter_context(self.gateway.connect(NAME)))
            with contextlib.suppress(OSError):
                kept[0].sendall(request("/"))
                if said := kept[0].recv(65536):
                    return said
            kept.pop()
            return b""

        def say() -> None:
            said = answer() or answer()
            if not said.startswith(b"HTTP/1.1 200 "):
                raise OSError(f"{said!r}")
            if b"connection: close" in said.lower():
                kept.pop()

        return say

    def stream(self, sock: socket.socket, first: bytes) -> Callable[[], None]:
        """Words on one stream, each heard again."""
        self.open.enter_context(sock)
        sock.sendall(first)
        if len(first) > 1 and b" 101 " not in sock.recv(4096):
            raise OSError("no upgrade")

        def say() -> None:
            word = os.urandom(8)
            sock.sendall(word)
            if sock.recv(100) != word:
                raise OSError("the stream ended")

        return say

    def download(self, kind: str, sock: socket.socket, ask: bytes) -> None:
        found, size = hashlib.sha256(), 0
        with sock, sock.makefile("rb", BLOCK) as stream:
            sock.settimeout(60)
            sock.sendall(ask)
            while len(ask) > 1 and stream.readline().strip():
                pass
            while size < SIZE and (chunk := stream.read1(min(BLOCK, SIZE - size))):
                found.update(chunk)
                size += len(chunk)
        self.sums[kind] = found.hexdigest()

    def plain(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)


def request(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {NAME}", *headers, "", ""]).encode()
