# SPDX-License-Identifier: MIT
"""Runs on a node, with the standard library: asks every peer for an echo by TCP, once a second, until stdin ends.

The first line of stdin is JSON: for each peer by name its address and how many seconds an answer may take, their probe
port, and the port of this node's own SOCKS5 proxy or 0. Prints a line once it has begun, and at the end, as JSON, for
each peer how often it was asked, each time that nothing came back, with the second and the reason, and the longest time
that an answer took. The protocol is that of the probe's responder.
"""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import struct
import sys
import threading
import time

PERIOD = 1.0
SIZE = 32
HEADER = f"mesh-probe 1 echo {SIZE}".ljust(191).encode() + b"\n"


def connect(address: str, port: int, proxy: int, patience: float) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", proxy) if proxy else (address, port), patience)
    if proxy:
        sock.sendall(b"\x05\x01\x00")
        exactly(sock, 2)
        sock.sendall(b"\x05\x01\x00\x01" + ipaddress.IPv4Address(address).packed + struct.pack("!H", port))
        answer = exactly(sock, 10)
        if answer[1]:
            raise OSError(f"the proxy says {answer[1]}")
    return sock


def exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise OSError("closed before its answer was whole")
        data += more
    return data


def ask(address: str, port: int, proxy: int, patience: float) -> None:
    """An OSError says that these bytes did not come back."""
    payload = os.urandom(SIZE)
    with connect(address, port, proxy, patience) as sock:
        sock.sendall(HEADER + payload)
        if exactly(sock, SIZE) != payload:
            raise OSError("other bytes came back")


def keep_asking(peer: tuple[str, int, int, float], over: threading.Event, seen: dict[str, object]) -> None:
    began, asked, failed, slowest = time.monotonic(), 0, [], 0.0
    while not over.wait(max(0.0, began + asked * PERIOD - time.monotonic())):
        asked += 1
        now = time.monotonic()
        try:
            ask(*peer)
            slowest = max(slowest, time.monotonic() - now)
        except OSError as error:
            failed.append([round(now - began, 1), str(error)])
    seen.update(asked=asked, failed=failed, slowest=slowest)


def main() -> None:
    wanted = json.loads(sys.stdin.readline())
    over = threading.Event()
    seen: dict[str, dict[str, object]] = {name: {} for name in wanted["peers"]}
    threads = [
        threading.Thread(
            target=keep_asking, args=((address, wanted["port"], wanted["proxy"], patience), over, seen[name])
        )
        for name, (address, patience) in wanted["peers"].items()
    ]
    for thread in threads:
        thread.start()
    print("asking", flush=True)
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    print(json.dumps(seen))


main()
