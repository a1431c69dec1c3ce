# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""One STUN binding request (RFC 5389) over UDP.

A DERP server only answers requests that carry SOFTWARE "tailnode" and a FINGERPRINT (tailscale.com/net/stun,
ParseBindingRequest); both are ordinary attributes to any other server.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import zlib

from ansible_collections.wonder.mesh.plugins.module_utils._probe_dial import is_timeout
from ansible_collections.wonder.mesh.plugins.module_utils._probe_protocol import describe

TRY_SECONDS = (0.5, 1.0, 1.5)
MAGIC = 0x2112A442
FINGERPRINT_XOR = 0x5354554E
BINDING_REQUEST, BINDING_SUCCESS = 0x0001, 0x0101
SOFTWARE, FINGERPRINT, XOR_MAPPED_ADDRESS = 0x8022, 0x8028, 0x0020
HEADER = struct.Struct("!HHI12s")
ATTRIBUTE = struct.Struct("!HH")


class StunError(Exception):
    """No valid answer to a binding request; the text says what came instead."""


def ask(address: str, port: int) -> str:
    """The address and port under which the server saw us, after at most three tries; raises StunError."""
    try:
        places = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)
    except OSError as exc:
        raise StunError(f"{address} does not resolve: {describe(exc)}") from None
    error = ""
    for family, kind, protocol, _, place in places:
        try:
            with socket.socket(family, kind, protocol) as sock:
                sock.connect(place)  # lets the kernel drop answers from elsewhere and report a closed port
                return _ask(sock)
        except OSError as exc:
            error = describe(exc)
        except StunError as exc:
            error = str(exc)
    raise StunError(f"no STUN answer from {address} port {port}: {error}")


def _ask(sock: socket.socket) -> str:
    transaction = os.urandom(12)
    for seconds in TRY_SECONDS:
        sock.settimeout(seconds)
        sock.send(request(transaction))
        try:
            return parse(sock.recv(2048), transaction)
        except OSError as exc:
            if not is_timeout(exc):
                raise
    raise StunError(f"silence after {len(TRY_SECONDS)} requests in {sum(TRY_SECONDS):g} s")


def request(transaction: bytes) -> bytes:
    """A binding request with this 12-byte transaction id."""
    software = b"tailnode"
    attributes = ATTRIBUTE.pack(SOFTWARE, len(software)) + software
    length = len(attributes) + ATTRIBUTE.size + 4
    message = HEADER.pack(BINDING_REQUEST, length, MAGIC, transaction) + attributes
    return message + ATTRIBUTE.pack(FINGERPRINT, 4) + struct.pack("!I", zlib.crc32(message) ^ FINGERPRINT_XOR)


def parse(packet: bytes, transaction: bytes) -> str:
    """``address port`` out of a binding success response to this transaction; raises StunError."""
    if len(packet) < HEADER.size:
        raise StunError(f"the answer has {len(packet)} bytes, a STUN message has at least {HEADER.size}")
    kind, length, magic, answered = HEADER.unpack_from(packet)
    if kind != BINDING_SUCCESS or magic != MAGIC or length != len(packet) - HEADER.size:
        raise StunError("the answer is no STUN binding success response")
    if answered != transaction:
        raise StunError("the answer has another transaction id")
    position = HEADER.size
    while position + ATTRIBUTE.size <= len(packet):
        attribute, size = ATTRIBUTE.unpack_from(packet, position)
        value = packet[position + ATTRIBUTE.size : position + ATTRIBUTE.size + size]
        if attribute == XOR_MAPPED_ADDRESS:
            return _mapped(value, transaction)
        position += ATTRIBUTE.size + size + -size % 4
    raise StunError("the answer has no XOR-MAPPED-ADDRESS")


def _mapped(value: bytes, transaction: bytes) -> str:
    if len(value) not in (8, 20) or value[1] != {8: 1, 20: 2}[len(value)]:
        raise StunError("the answer's XOR-MAPPED-ADDRESS is malformed")
    mask = struct.pack("!I", MAGIC) + transaction
    port = struct.unpack("!H", value[2:4])[0] ^ (MAGIC >> 16)
    packed = bytes(byte ^ mask[i] for i, byte in enumerate(value[4:]))
    return f"{ipaddress.ip_address(packed)} {port}"
