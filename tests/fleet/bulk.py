# SPDX-License-Identifier: MIT
"""Send so many MiB through a stream of each kind and hear them again: bulk.py DIRECTORY MIB (runs on the stranger).

Half of it is sent before the file `done` is in the directory, and the rest afterwards. Leaves a file `bulk-KIND` there
for each stream that is open. Says as JSON for each kind whether what was heard is what was sent, and what went wrong,
"" for nothing.
"""

import base64
import hashlib
import json
import os
import socket
import ssl
import sys
import threading
import time
from pathlib import Path

DIRECTORY = Path(sys.argv[1])
DONE = DIRECTORY / "done"
SIZE, BLOCK = int(sys.argv[2]) << 20, 1 << 18
PATIENCE = 20.0  # seconds for an answer
MOST = 100.0  # seconds until the file is there
GATEWAY = "edge.wm.test"
found: dict[str, dict[str, object]] = {}


def upgraded(name: str, context: ssl.SSLContext) -> socket.socket:
    """A WebSocket, which is echoed byte by byte."""
    sock = context.wrap_socket(socket.create_connection((GATEWAY, 443), PATIENCE), server_hostname=name)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = ["GET / HTTP/1.1", f"Host: {name}", "Connection: Upgrade", "Upgrade: websocket"]
    lines += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", "", ""]
    sock.sendall("\r\n".join(lines).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    if b" 101 " not in head:
        raise OSError(f"no WebSocket: {head!r}")
    return sock


def plain() -> socket.socket:
    sock = socket.create_connection((GATEWAY, 5432), PATIENCE)
    while sock.recv(1) != b"\n":
        pass
    return sock


def unknown() -> ssl.SSLContext:
    """For the node's own certificate, which nobody knows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


KINDS = {
    "http": lambda: upgraded("hello.wm.test", ssl.create_default_context()),
    "tls": lambda: upgraded("git.wm.test", unknown()),
    "tcp": plain,
}


def talk(kind: str) -> None:
    base, said, heard, size = os.urandom(BLOCK - 8), hashlib.sha256(), hashlib.sha256(), 0
    until = time.monotonic() + MOST
    try:
        with KINDS[kind]() as sock:
            sock.settimeout(PATIENCE)
            (DIRECTORY / f"bulk-{kind}").touch()
            for number in range(SIZE // BLOCK):
                while number == SIZE // BLOCK // 2 and not DONE.exists() and time.monotonic() < until:
                    time.sleep(0.1)
                block = number.to_bytes(8, "big") + base
                said.update(block)
                sock.sendall(block)
                left = BLOCK
                while left:
                    chunk = sock.recv(min(left, 1 << 16))
                    if not chunk:
                        raise OSError("the stream ended")
                    heard.update(chunk)
                    left -= len(chunk)
                    size += len(chunk)
        error = ""
    except OSError as exc:
        error = repr(exc)
    found[kind] = {"same": said.digest() == heard.digest() and size == SIZE, "error": error}


threads = [threading.Thread(target=talk, args=(kind,)) for kind in KINDS]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(json.dumps(found))
