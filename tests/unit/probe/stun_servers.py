# SPDX-License-Identifier: MIT
"""STUN servers on loopback, which take what a DERP server takes."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import typing as t
import zlib

from ansible_collections.wonder.mesh.plugins.module_utils import _probe_stun as stun

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PORT = 32853


def response(transaction: bytes, kind: int = 0x0101, attribute: int = 0x0020, port: int = PORT) -> bytes:
    """What a STUN server answers to 192.0.2.1 port 32853, after an attribute with padding (RFC 5769's addresses)."""
    software = struct.pack("!HH", 0x8022, 5) + b"tests\0\0\0"
    value = struct.pack("!BBHI", 0, 1, port ^ 0x2112, 0xC0000201 ^ stun.MAGIC)
    body = software + struct.pack("!HH", attribute, len(value)) + value
    return struct.pack("!HHI", kind, len(body), stun.MAGIC) + transaction + body


@contextlib.contextmanager
def stun_server(answers: Callable[[int, bytes], bytes | None] | None = None) -> Iterator[int]:
    """A UDP server that answers the n-th request, if it is one that a DERP server takes; by default with its source."""
    stop = threading.Event()

    def run(sock: socket.socket) -> None:
        number = 0
        while not stop.is_set():
            try:
                packet, sender = sock.recvfrom(2048)
            except TimeoutError:
                continue
            number += 1
            if not derp_takes(packet):
                continue
            transaction = packet[8:20]
            answer = answers(number, transaction) if answers else response(transaction, port=sender[1])
            if answer is not None:
                sock.sendto(answer, sender)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0.05)
        thread = threading.Thread(target=run, args=(sock,))
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            stop.set()
            thread.join()


def derp_takes(packet: bytes) -> bool:
    """ParseBindingRequest of tailscale.com/net/stun: a good length, SOFTWARE "tailnode", FINGERPRINT at the end."""
    kind, length, magic = struct.unpack_from("!HHI", packet)
    finger = struct.pack("!HHI", 0x8028, 4, zlib.crc32(packet[:-8]) ^ 0x5354554E)
    good = (kind, length, magic) == (1, len(packet) - 20, 0x2112A442)
    return good and packet[20:32] == struct.pack("!HH", 0x8022, 8) + b"tailnode" and packet[-8:] == finger
