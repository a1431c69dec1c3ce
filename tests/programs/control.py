# SPDX-License-Identifier: MIT

"""A real Headscale on loopback, with nodes that it was told of and that no machine is."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import itertools
import json
import os
import socket
import subprocess
import time
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = 30  # seconds
USER = "someone"


class Control:
    """One that runs in a directory of its own."""

    def __init__(self, place: Path, port: int) -> None:
        self.place, self.port = place, port
        self.binary, self.config = str(place / "headscale"), str(place / "config.yaml")
        self.url = f"http://127.0.0.1:{port}"
        self._numbers = itertools.count()
        self._key = ""

    def begin(self) -> None:
        """Wait until it answers, and get a key for it."""
        until = time.monotonic() + START
        while self._answer("GET", "/health", None)[0] != http.client.OK:
            assert time.monotonic() < until, (self.place / "log").read_text()
            time.sleep(0.1)
        self._key = json.loads(self._command("apikeys", "create", "--output", "json"))
        self.api("POST", "/api/v1/user", {"name": USER})

    @property
    def key(self) -> str:
        """With which everything may be asked and changed."""
        return self._key

    def api(self, method: str, path: str, body: object = None) -> dict[str, t.Any]:
        status, text = self._answer(method, path, body)
        assert status == http.client.OK, text
        return t.cast("dict[str, t.Any]", json.loads(text))

    def add(self, name: str, tags: list[str], user: str = USER) -> str:
        """Let a node join, with tags or as a device of a person; its id."""
        key = f"hskey-authreq-{next(self._numbers):024}"
        self.api("POST", "/api/v1/debug/node", {"user": user, "key": key, "name": name, "routes": []})
        node = self.api("POST", "/api/v1/auth/register", {"user": user, "authId": key})["node"]
        if tags:
            self.api("POST", f"/api/v1/node/{node['id']}/tags", {"tags": tags})
        return str(node["id"])

    def empty(self) -> None:
        """Delete all nodes, and take back all that a policy allows."""
        for node in self.api("GET", "/api/v1/node")["nodes"]:
            self.api("DELETE", f"/api/v1/node/{node['id']}")
        self.api("PUT", "/api/v1/policy", {"policy": '{"grants": []}'})

    def policy(self) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", json.loads(self.api("GET", "/api/v1/policy")["policy"]))

    def in_force(self) -> str:
        """What nodes are told right now, whatever is in the database: the rules."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port + 1, timeout=20)) as connection:
            connection.request("GET", "/debug/filter")
            return connection.getresponse().read().decode()

    def _answer(self, method: str, path: str, body: object) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            try:
                connection.request(method, path, None if body is None else json.dumps(body), headers)
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
            except OSError as exc:
                return 0, str(exc)

    def _command(self, *arguments: str) -> str:
        command = [self.binary, "--config", self.config, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def program(place: Path, name: str, binary: str = "") -> str:
    """Put one of our programs there; its path."""
    archive = _programs.find(name).build("amd64", print)[binary or name].archive
    path = place / (binary or name)
    path.write_bytes(gzip.decompress(archive.read_bytes()))
    path.chmod(0o700)
    return str(path)


@contextlib.contextmanager
def running(place: Path, settings: t.Mapping[str, t.Any] | None = None) -> Iterator[Control]:
    """A Headscale that runs meanwhile, with these settings besides what it needs."""
    control = Control(place, free_ports())
    program(place, "headscale")
    (place / "config.yaml").write_text(json.dumps(configuration(control) | dict(settings or {})))
    with (place / "log").open("w") as log:
        process = subprocess.Popen([control.binary, "serve", "--config", control.config], stdout=log, stderr=log)
        try:
            control.begin()
            yield control
        finally:
            process.terminate()
            process.wait(timeout=30)


def configuration(control: Control) -> dict[str, t.Any]:
    place = control.place
    derp = {
        "enabled": True,
        "region_id": 999,
        "region_code": "here",
        "region_name": "here",
        "verify_clients": True,
        "stun_listen_addr": f"127.0.0.1:{control.port + 2}",
        "private_key_path": str(place / "derp.key"),
    }
    return {
        "server_url": control.url,
        "listen_addr": f"127.0.0.1:{control.port}",
        "metrics_listen_addr": f"127.0.0.1:{control.port + 1}",
        "grpc_listen_addr": f"127.0.0.1:{control.port + 3}",
        "unix_socket": str(place / "socket"),
        "unix_socket_permission": "0700",
        "disable_check_updates": True,
        "noise": {"private_key_path": str(place / "noise.key")},
        "prefixes": {"v4": "100.64.0.0/10", "v6": "fd7a:115c:a1e0::/48", "allocation": "sequential"},
        "derp": {"server": derp, "urls": [], "paths": []},
        "database": {"type": "sqlite", "sqlite": {"path": str(place / "db.sqlite")}},
        "policy": {"mode": "database"},
        "dns": {"magic_dns": True, "base_domain": "mesh.example.com", "override_local_dns": False},
        "logtail": {"enabled": False},
        # It would wait half a second for other changes before it makes one.
        "tuning": {"node_store_batch_size": 1, "node_store_batch_timeout": "1ms"},
    }


def free_ports() -> int:
    """The first of four TCP ports in a row that nobody has, below those that the kernel gives to clients."""
    begin = 20000 + os.getpid() % 900 * 10  # of another process, the tests look elsewhere
    for first in range(begin, 30000, 10):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + 4):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise AssertionError("there are no free ports")
