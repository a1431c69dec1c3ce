# SPDX-License-Identifier: MIT

"""A small Headscale 0.29: its REST API with its answers, and its command that makes API keys."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator


class Headscale:
    """What it holds, and the requests that it got as (method, path, body)."""

    def __init__(self) -> None:
        self.port = 0
        self.keys: list[str] = []
        self.commands: list[list[str]] = []
        self.policy: str | None = None
        self.refuses = ""  # words in a policy that it does not take
        self.fails: list[str] = []  # what its check says of tests that fail
        self.answers: dict[str, tuple[int, t.Any]] = {}  # other ones than usual, by path
        self.full = False  # whether it fails half-way when it takes a policy
        self.nodes: list[dict[str, t.Any]] = []
        self.minted: list[dict[str, t.Any]] = []
        self.expired: list[str] = []
        self.requests: list[tuple[str, str, t.Any]] = []

    def node(self, name: str, **changes: t.Any) -> dict[str, t.Any]:
        """A node that has joined."""
        number = len(self.nodes) + 1
        node = {
            "id": str(number),
            "givenName": name,
            "nodeKey": f"nodekey:{number}",
            "tags": ["tag:node"],
            "approvedRoutes": [],
            "ipAddresses": [f"100.64.0.{number}"],
            "online": True,
        } | changes
        self.nodes.append(node)
        return node

    def writes(self) -> list[tuple[str, str, t.Any]]:
        """All but questions."""
        return [each for each in self.requests if each[0] != "GET" and each[1] != "/api/v1/policy/check"]

    def checked(self) -> list[dict[str, t.Any]]:
        """The policies that it was to check."""
        return [json.loads(body["policy"]) for _, path, body in self.requests if path == "/api/v1/policy/check"]

    def run_command(self, args: list[str]) -> tuple[int, str, str]:
        self.commands.append(args)
        self.keys.append(f"hskey-api-secret-{len(self.keys)}")
        return 0, json.dumps(self.keys[-1]), ""

    def answer(self, method: str, path: str, body: t.Any) -> tuple[int, t.Any]:
        if path in self.answers:
            return self.answers[path]
        place = path.removeprefix("/api/v1/").split("/")
        if place == ["policy"]:
            return self._policy(method, body)
        if place == ["policy", "check"]:
            return self._check(body)
        if place == ["preauthkey"]:
            self.minted.append(body)
            return 200, {"preAuthKey": {"id": str(len(self.minted)), "key": "hskey-auth-secret"}}
        if place == ["preauthkey", "expire"]:
            self.expired.append(body["id"])
            return 200, {}
        if place == ["node"]:
            return 200, {"nodes": self.nodes}
        node = next(each for each in self.nodes if each["id"] == place[1])
        if method == "DELETE":
            self.nodes.remove(node)
        elif place[2] == "expire":
            node["expiry"] = "2026-01-01T00:00:00.123456789Z"
        elif place[2] == "rename":
            if any(each["givenName"] == place[3] for each in self.nodes):
                return 500, {"message": "name is not unique"}
            node["givenName"] = place[3]
        else:
            node[{"tags": "tags", "approve_routes": "approvedRoutes"}[place[2]]] = next(iter(body.values()))
        return 200, {"node": node}

    def _policy(self, method: str, body: t.Any) -> tuple[int, t.Any]:
        if method == "GET":
            return (500, {"message": "acl policy not found"}) if self.policy is None else (200, {"policy": self.policy})
        if self.refuses and self.refuses in body["policy"]:
            return 500, {"code": 2, "message": f"setting policy: {self.refuses} is not known", "details": []}
        self.policy = body["policy"]
        if self.full:
            self.full = False
            return 500, {"code": 2, "message": "database or disk is full", "details": []}
        return 200, {"policy": self.policy}

    def _check(self, body: t.Any) -> tuple[int, t.Any]:
        if self.refuses and self.refuses in body["policy"]:
            return 400, {"code": 3, "message": f"parsing policy: {self.refuses} is not known", "details": []}
        if self.fails:
            return 400, {"code": 3, "message": "\n".join(["test(s) failed:", *self.fails]), "details": []}
        return 200, {}


@contextlib.contextmanager
def serve(headscale: Headscale) -> Iterator[None]:
    """Answer on a port of loopback."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"null")
            headscale.requests.append((self.command, self.path, body))
            if self.headers["Authorization"].removeprefix("Bearer ") not in headscale.keys:
                status, answer = 401, b"Unauthorized"
            else:
                status, decoded = headscale.answer(self.command, self.path, body)
                answer = json.dumps(decoded).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_PUT = do_POST = do_DELETE = do_GET

        def log_message(self, *_: t.Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        headscale.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
