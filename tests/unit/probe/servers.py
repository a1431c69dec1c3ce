# SPDX-License-Identifier: MIT
"""What the probe's tests talk to: the real responder, servers that misbehave, and what tailscale prints."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RESPONDER = Path(__file__).parents[3] / "roles/probe/files/mesh_probe_responder.py"
LIMIT = 10.0  # seconds that anything here may take

# Does what systemd does: the socket becomes descriptor 3, and the environment says for whom it is.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-I", "-S", *sys.argv[2:]])
"""


class Responder(t.NamedTuple):
    port: int
    process: subprocess.Popen[str]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), LIMIT)

    def memory(self, field: str) -> int:
        """A field of /proc/PID/status, in KiB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


@contextlib.contextmanager
def responder(idle: float = 60) -> Iterator[Responder]:
    """The real responder, started as systemd starts it."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        fd = listener.fileno()
        process = subprocess.Popen(
            [sys.executable, "-c", ACTIVATE, str(fd), str(RESPONDER), str(idle)],
            pass_fds=[fd],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with process:
            try:
                yield Responder(listener.getsockname()[1], process)
            finally:
                process.kill()


@contextlib.contextmanager
def serve(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server on loopback that calls handle for each connection; yields its port."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def work(sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            sock.settimeout(LIMIT)
            handle(sock)

    def accept(listener: socket.socket) -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                sock, _ = listener.accept()
                threads.append(threading.Thread(target=work, args=(sock,)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        acceptor = threading.Thread(target=accept, args=(listener,))
        acceptor.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            acceptor.join()
            for thread in threads:
                thread.join()


def closed_port() -> int:
    """A port on loopback on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A port that answers nothing: its queue is full, so the kernel drops what comes."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def exactly(sock: socket.socket, size: int) -> bytes:
    """So many bytes; raises OSError when the other side leaves before."""
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise ConnectionResetError
        data += more
    return data


def closes(sock: socket.socket) -> bool:
    """Whether the other side closes the connection without a byte."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def status(peers: dict[str, dict[str, t.Any]], state: str = "Running") -> str:
    """What ``tailscale status --json`` prints on a node at 127.0.0.1 with these peers (name: fields)."""

    def node(name: str, fields: dict[str, t.Any]) -> dict[str, t.Any]:
        return {
            "HostName": name,
            "DNSName": f"{name}.mesh.wm.test.",
            "TailscaleIPs": ["127.0.0.1", "::1"],
            "Online": True,
            "CurAddr": "",
            "PeerRelay": "",
            "Relay": "",
            **fields,
        }

    return json.dumps(
        {
            "BackendState": state,
            "TailscaleIPs": ["127.0.0.1", "::1"],
            "Self": node("mini-1", {}),
            "Peer": {f"nodekey:{name}": node(name, fields) for name, fields in peers.items()} or None,
        }
    )


def splice(one: socket.socket, other: socket.socket) -> None:
    """Copy both ways until one side ends, as tailscaled's proxy does."""

    def copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for sock in (one, other):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=copy, args=(other, one))
    thread.start()
    copy(one, other)
    thread.join()
