# SPDX-License-Identifier: MIT
"""A real Caddy on loopback with the configuration that our filter makes, and a program behind it that says what it got.

Nodes are 127.0.0.1; a client may come from any 127.x.y.z.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import http.client
import http.server
import json
import socket
import ssl
import subprocess
import threading
import time
import typing as t
from pathlib import Path

from ansible_collections.wonder.mesh.plugins.filter.caddy_access_files import caddy_access_files
from ansible_collections.wonder.mesh.plugins.filter.caddy_config import caddy_config
from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs
from fleet.authority import Authority

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model

START = 60  # seconds; with ten thousand routes on a busy machine it takes that long
PATIENCE = 15.0  # seconds for an answer
HEALTH = "/health"  # what the gateway asks for by itself; a program does not remember that it was asked
ON_HOST = "/etc/caddy/certificates"


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a client got; ``seen`` is what the program behind says that it was asked, if it was."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def seen(self) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", json.loads(self.body))


class Gateway:
    """One with its configuration in a directory of its own, and in another, if given, what it needs besides."""

    def __init__(self, place: Path, authority: Authority, names: Sequence[str], work: Path | None = None) -> None:
        self.place, self.work, self.address, self.port = place, work or place, "127.0.0.1", free_port()
        self.binary, self.config = str(caddy(self.work)), place / "caddy.json"
        self.socket, self.log = f"unix/{self.work}/admin.sock", self.work / "log"
        self._authority = authority.certificate
        certificate, key = authority.issue(list(names))
        (place / "1.crt").write_text(certificate)
        (place / "1.key").write_text(key)

    def configure(self, model: Model, users: Mapping[str, str] | None = None, host: str = "edge") -> dict[str, t.Any]:
        """What the role would put on the host, in this directory and on our port. users: as in caddy_users."""
        for file in caddy_access_files(model, host, users or {}, str(self.place)):
            content = file["content"] if "content" in file else Path(file["source"]).read_text(encoding="utf-8")
            Path(file["path"]).write_text(content, encoding="utf-8")
        pair = {"certificate": f"{ON_HOST}/1.crt", "key": f"{ON_HOST}/1.key"}
        text = json.dumps(caddy_config(model, host, [pair]))
        for node in model["nodes"]:
            text = text.replace(model["hosts"][node]["dns"], "127.0.0.1")
        config = json.loads(text.replace(ON_HOST, str(self.place)))
        config["admin"]["listen"] = self.socket
        servers = config["apps"]["http"]["servers"]
        servers["https"]["listen"], servers["http"]["listen"] = [f":{self.port}"], [f":{free_port()}"]
        return t.cast("dict[str, t.Any]", config)

    def write(self, config: object) -> None:
        """As the role does."""
        self.config.write_text(json.dumps(config, indent=1, sort_keys=True), encoding="utf-8")

    def run(self, verb: str, *arguments: str, config: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [self.binary, verb, "--config", str(config or self.config), *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=120)

    def reload(self) -> subprocess.CompletedProcess[str]:
        return self.run("reload", "--address", self.socket, "--force")

    @property
    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.work), "PATH": "/usr/bin:/bin"}

    @contextlib.contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """With the configuration that was written."""
        with self.log.open("w") as log:
            process = subprocess.Popen(
                [self.binary, "run", "--config", str(self.config)], env=self.environment, stdout=log, stderr=log
            )
            try:
                until = time.monotonic() + START
                while not listens(self.port, self.address):
                    assert process.poll() is None, self.log.read_text()
                    assert time.monotonic() < until, self.log.read_text()
                    time.sleep(0.05)
                yield process
            finally:
                process.terminate()
                process.wait(timeout=30)

    def connect(
        self, name: str, source: str = "127.0.0.1", certificate: tuple[str, str] | None = None
    ) -> ssl.SSLSocket:
        """A TLS connection to the gateway under a name, from an address. certificate: the client's own files."""
        context = ssl.create_default_context(cadata=self._authority)
        if certificate:
            context.load_cert_chain(*certificate)
        sock = socket.create_connection((self.address, self.port), PATIENCE, (source, 0))
        return context.wrap_socket(sock, server_hostname=name)

    def ask(
        self,
        name: str,
        path: str = "/",
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        sni: str = "",
        **how: t.Any,
    ) -> Answer:
        """Raises OSError if there is no answer."""
        connection = http.client.HTTPConnection(name, timeout=PATIENCE)
        connection.sock = self.connect(sni or name, **how)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read())


class Program(http.server.ThreadingHTTPServer):
    """Behind the gateway: answers with what it was asked, as JSON, or as its subclasses of Asked do."""

    daemon_threads = True

    def __init__(self, handler: type[Asked]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.port = self.server_address[1]
        self.asked: list[dict[str, t.Any]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class Asked(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a body that waits for the receipt of its header comes 40 ms late
    server: Program

    def note(self) -> dict[str, t.Any]:
        length = int(self.headers.get("Content-Length") or 0)
        asked = {
            "method": self.command,
            "path": self.path,
            "headers": {key.lower(): value for key, value in self.headers.items()},
            "body": len(self.rfile.read(length)),
        }
        if self.path != HEALTH:
            self.server.asked.append(asked)
        return asked

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def echo(self) -> None:
        """Any protocol to which one may upgrade, like WebSocket."""
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", "echo")
        self.end_headers()
        self.close_connection = True
        while chunk := self.connection.recv(65536):
            self.connection.sendall(chunk)

    def respond(self) -> None:
        self.answer(200, json.dumps(self.note()).encode())

    def __getattr__(self, name: str) -> t.Any:
        if name.startswith("do_"):
            return self.respond
        raise AttributeError(name)

    def log_request(self, *_: object) -> None:
        """Nothing is printed."""


def caddy(place: Path) -> Path:
    """The pinned program, in that directory."""
    program = place / "caddy"
    if not program.exists():
        archive = _programs.find("caddy").build("amd64", print)["caddy"].archive
        program.write_bytes(gzip.decompress(archive.read_bytes()))
        program.chmod(0o700)
    return program


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def listens(port: int, address: str = "127.0.0.1") -> bool:
    with socket.socket() as sock:
        return sock.connect_ex((address, port)) == 0
