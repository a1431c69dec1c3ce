# SPDX-License-Identifier: MIT
"""A small server that answers what Headscale 0.29 answers to who asks for its nodes."""

from __future__ import annotations

import contextlib
import http.server
import json
import ssl
import threading
import time
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "hskey-api-canary-551b"
NOBODY = {"id": "2147455555", "name": "tagged-devices"}  # to whom Headscale gives tagged nodes


def node(number: int, name: str, **more: t.Any) -> dict[str, t.Any]:
    """As Headscale 0.29.3 tells it, without what nobody reads."""
    return {
        "id": str(number),
        "name": f"{name}.local",
        "givenName": name,
        "ipAddresses": [f"100.64.0.{number}", f"fd7a:115c:a1e0::{number}"],
        "user": NOBODY,
        "tags": ["tag:node"],
        "online": True,
        "lastSeen": "2026-11-23T06:01:02.123456789Z",
        "expiry": None,
        "approvedRoutes": [],
        "availableRoutes": [],
        **more,
    }


NODES = [
    node(1, "edge", tags=["tag:node", "tag:gateway"]),
    node(2, "nas", approvedRoutes=["10.1.0.0/24"], availableRoutes=["10.1.0.0/24", "10.2.0.0/24"]),
    node(3, "laptop", tags=[], user={"id": "1", "name": "alice"}),
    node(4, "old", online=False),
]


class Server:
    """What it answers with, page by page, and how it was asked."""

    def __init__(self) -> None:
        self.pages: list[list[dict[str, t.Any]]] = [NODES]
        self.asked: list[str] = []
        self.status, self.body, self.location, self.wait = 200, b"", "", 0.0
        self.port = 0

    def answer(self, path: str, authorization: str | None) -> tuple[int, bytes]:
        self.asked.append(path)
        time.sleep(self.wait)
        if authorization != f"Bearer {KEY}":
            return 401, b"Unauthorized"
        if self.body or self.status != 200:
            return self.status, self.body
        number = int(path.partition("pageToken=")[2] or 0)
        more = {"nextPageToken": str(number + 1)} if number + 1 < len(self.pages) else {}
        return 200, json.dumps({"nodes": self.pages[number], **more}).encode()


@contextlib.contextmanager
def serving(server: Server, certificate: Path | None = None) -> Iterator[None]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = server.answer(self.path, self.headers["Authorization"])
            with contextlib.suppress(OSError):
                self.send_response(status)
                if server.location:
                    self.send_header("Location", server.location)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            listener.socket = context.wrap_socket(listener.socket, server_side=True)
        server.port = listener.server_address[1]
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown()
            thread.join()
