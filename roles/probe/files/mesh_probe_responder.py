#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Answers the proof's probes on the sockets that systemd passes (Accept=no), and exits when nobody asks any more.

The protocol, version 1, is described in ``plugins/module_utils/_probe_protocol.py``. This file stands alone on the
host, so it repeats the numbers; a test compares them. Whoever speaks something else gets a closed connection, and no
log gets a line. Bounds: LIMIT payload bytes, REQUESTS requests and CONNECTION_SECONDS per connection, CONNECTIONS at
once, and never more bytes sent than were received before.

Usage: mesh_probe_responder.py [IDLE_SECONDS]    (default 60; started by mesh-probe.socket)
"""

from __future__ import annotations

import hashlib
import os
import selectors
import socket
import sys
import threading
import time

GREETING = "mesh-probe 1"
HEADER_BYTES = 192
ECHO_LIMIT = 1024
LIMIT = 1024 * 1024
REQUESTS = 256
CONNECTION_SECONDS = 30.0
CONNECTIONS = 64
IDLE_SECONDS = 60.0

CHUNK = 64 * 1024
STACK_BYTES = 256 * 1024  # 64 threads with the usual 8 MiB each would look like half a gigabyte
FIRST_PASSED_FD = 3  # SD_LISTEN_FDS_START


class NotOurs(Exception):
    """The other side does not speak the protocol, asks for too much, or left."""


class Connection:
    """One accepted connection with its bounds."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._until = time.monotonic() + CONNECTION_SECONDS
        self._received = 0
        self._sent = 0

    def serve(self) -> None:
        """Answer requests until the other side leaves or a bound is reached; raises NotOurs or OSError at the end."""
        left = LIMIT
        for _ in range(REQUESTS):
            verb, size = self._request()
            left -= size
            if left < 0:
                raise NotOurs
            if verb == "echo" and size <= ECHO_LIMIT:
                self._write(self._read(size))
            elif verb == "exchange":
                self._exchange(size)
            else:
                raise NotOurs

    def _request(self) -> tuple[str, int]:
        """The verb and the size of the next request, from a line that is padded to HEADER_BYTES."""
        header = self._read(HEADER_BYTES)
        start = GREETING.encode() + b" "
        if not (header.startswith(start) and header.endswith(b"\n")):
            raise NotOurs
        words = header[len(start) :].split()
        if len(words) != 2 or not words[1].isdigit() or len(words[1]) > len(str(LIMIT)) or int(words[1]) == 0:
            raise NotOurs
        return words[0].decode("ascii", "replace"), int(words[1])

    def _exchange(self, size: int) -> None:
        arrived = hashlib.sha256()
        left = size
        while left:
            chunk = self._receive(min(CHUNK, left))
            arrived.update(chunk)
            left -= len(chunk)
        self._write(f"{size} {arrived.hexdigest()}\n".encode())

        fresh = hashlib.sha256()
        left = size
        while left:
            chunk = os.urandom(min(CHUNK, left))
            fresh.update(chunk)
            self._write(chunk)
            left -= len(chunk)
        self._write(f"{fresh.hexdigest()}\n".encode())

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += self._receive(size - len(data))
        return data

    def _receive(self, most: int) -> bytes:
        self._arm()
        data = self._sock.recv(most)
        if not data:
            raise NotOurs
        self._received += len(data)
        return data

    def _write(self, data: bytes) -> None:
        if self._sent + len(data) > self._received:
            raise NotOurs
        self._arm()
        self._sock.sendall(data)
        self._sent += len(data)

    def _arm(self) -> None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise NotOurs
        self._sock.settimeout(left)


class Responder:
    """Accepts on all passed sockets, one small thread per connection, and returns when idle."""

    def __init__(self, listeners: list[socket.socket], idle_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._active = 0
        self._last_used = time.monotonic()
        self._selector = selectors.DefaultSelector()
        for listener in listeners:
            listener.setblocking(False)  # a client that is gone before accept() must not block the others
            self._selector.register(listener, selectors.EVENT_READ)

    def run(self) -> None:
        """Serve until nobody was connected for the idle time; who comes later waits in the queue and starts us anew."""
        while True:
            ready = self._selector.select(min(1.0, self._idle_seconds))
            for key, _ in ready:
                if isinstance(key.fileobj, socket.socket):
                    self._accept(key.fileobj)
            with self._lock:
                idle = self._active == 0 and time.monotonic() - self._last_used >= self._idle_seconds
            if idle and not ready:
                return

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        with self._lock:
            self._last_used = time.monotonic()
            if self._active >= CONNECTIONS:
                sock.close()
                return
            self._active += 1
        threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            with sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                Connection(sock).serve()
        except (NotOurs, OSError):
            pass  # nothing is logged per connection: who may reach the port must not be able to fill the journal
        finally:
            with self._lock:
                self._active -= 1
                self._last_used = time.monotonic()


def passed_sockets() -> list[socket.socket]:
    """The sockets of sd_listen_fds(3); none when this process is not the one they were meant for."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.get("LISTEN_FDS", "0"))
    return [socket.socket(fileno=fd) for fd in range(FIRST_PASSED_FD, FIRST_PASSED_FD + count)]


def main() -> int:
    listeners = passed_sockets()
    if not listeners:
        print("no socket was passed by systemd: start mesh-probe.socket, not this program", file=sys.stderr)
        return 2
    threading.stack_size(STACK_BYTES)
    Responder(listeners, float(sys.argv[1]) if len(sys.argv) > 1 else IDLE_SECONDS).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
