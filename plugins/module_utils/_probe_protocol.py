# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""The asking side of the probe protocol, version 1; roles/probe/files/mesh_probe_responder.py is the answering side.

A request is one line of exactly HEADER_BYTES bytes, ``mesh-probe 1 VERB SIZE``, padded with spaces, ended by a newline.
SIZE (decimal, at least 1) payload bytes follow. There may be several requests on one connection, one after the other.

``echo`` (SIZE <= ECHO_LIMIT)
    answered by the same SIZE bytes. Cheap: keeps traffic flowing both ways and measures round trips.
``exchange``
    answered by the line ``SIZE SHA256`` of what arrived (SHA256 in lower-case hex), then SIZE fresh random bytes, then
    the line ``SHA256`` of those. The header is padded so that the answer is never longer than the question: the port
    cannot be used to amplify traffic.

The responder closes the connection without a word on anything else, after LIMIT payload bytes or REQUESTS requests, and
after CONNECTION_SECONDS.
"""

from __future__ import annotations

import hashlib
import os
import time
import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    import socket

GREETING = "mesh-probe 1"
HEADER_BYTES = 192
ECHO_LIMIT = 1024
LIMIT = 1024 * 1024
REQUESTS = 256
CONNECTION_SECONDS = 30

ECHO_BYTES = 32
CHUNK = 64 * 1024
LINE_LIMIT = 80
# What OpenSSL says in its own words.
TLS_WORDS = {
    "TLSV1_ALERT_INTERNAL_ERROR": "it has no certificate for this name",
    "WRONG_VERSION_NUMBER": "it does not speak TLS",
}


class ProtocolError(OSError):
    """The other side closed the connection or answered with something that is not version 1 of the protocol."""


@dataclass
class Exchange:
    """What one exchange proved.

    ``sent`` counts our bytes that the peer says arrived, ``received`` the peer's bytes that arrived here; ``carried``
    is true only when both are whole and both hashes are equal, and otherwise ``error`` says what was found.
    """

    carried: bool = False
    sent: int = 0
    received: int = 0
    error: str = ""


def request(verb: str, size: int) -> bytes:
    """The header of a request, HEADER_BYTES long."""
    return f"{GREETING} {verb} {size}".ljust(HEADER_BYTES - 1).encode("ascii") + b"\n"


def echo(sock: socket.socket, until: float) -> float:
    """Seconds of one round trip of ECHO_BYTES; raises OSError when it is not done at ``until`` (monotonic clock)."""
    payload = os.urandom(ECHO_BYTES)
    begin = time.monotonic()
    _arm(sock, until)
    sock.sendall(request("echo", ECHO_BYTES) + payload)
    answer = _Reader(sock, until).exactly(ECHO_BYTES)
    seconds = time.monotonic() - begin
    if answer != payload:
        raise ProtocolError("the echo came back with other bytes than were sent")
    return seconds


def exchange(sock: socket.socket, size: int, until: float) -> Exchange:
    """Send ``size`` random bytes and take as many back. Whatever goes wrong is in the result, never an exception."""
    result = Exchange()
    try:
        _exchange(sock, size, until, result)
    except OSError as exc:
        result.error = describe(exc)
    return result


def _exchange(sock: socket.socket, size: int, until: float, result: Exchange) -> None:
    ours = hashlib.sha256()
    _arm(sock, until)
    sock.sendall(request("exchange", size))
    left = size
    while left:
        chunk = os.urandom(min(CHUNK, left))
        ours.update(chunk)
        _arm(sock, until)
        sock.sendall(chunk)
        left -= len(chunk)

    reader = _Reader(sock, until)
    words = reader.line().split()
    if len(words) != 2 or not words[0].isdigit():
        raise ProtocolError("the answer begins with no size and hash: something else listens on the probe port")
    result.sent = int(words[0])
    theirs = hashlib.sha256()
    while result.received < size:
        chunk = reader.some(min(CHUNK, size - result.received))
        theirs.update(chunk)
        result.received += len(chunk)
    promised = reader.line()

    if result.sent != size or words[1] != ours.hexdigest():
        result.error = f"of the {size} bytes sent, {result.sent} arrived, with another hash: the path damages data"
    elif promised != theirs.hexdigest():
        result.error = f"the {result.received} bytes received have another hash than were sent: the path damages data"
    else:
        result.carried = True


class _Reader:
    """Reads exact amounts and lines, and gives up at ``until``."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self._until = until
        self._kept = b""

    def some(self, most: int) -> bytes:
        """At least one and at most ``most`` bytes."""
        if self._kept:
            data, self._kept = self._kept[:most], self._kept[most:]
            return data
        _arm(self._sock, self._until)
        data = self._sock.recv(most)
        if not data:
            raise ProtocolError("the peer closed the connection before its answer was whole")
        return data

    def exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += self.some(size - len(data))
        return data

    def line(self) -> str:
        """The next line without its newline; at most LINE_LIMIT bytes."""
        data = b""
        while b"\n" not in data:
            if len(data) > LINE_LIMIT:
                raise ProtocolError("the answer is no line: something else listens on the probe port")
            data += self.some(LINE_LIMIT)
        line, rest = data.split(b"\n", 1)
        self._kept = rest + self._kept
        return line.decode("ascii", "replace")


def describe(exc: BaseException) -> str:
    """An error in words, whatever its class; sockets often raise errors without any text."""
    words = TLS_WORDS.get(getattr(exc, "reason", None) or "")
    if words:
        return words
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return str(exc) or type(exc).__name__


def _arm(sock: socket.socket, until: float) -> None:
    """Let the next operation on the socket end at ``until`` at the latest."""
    left = until - time.monotonic()
    if left <= 0:
        raise ProtocolError("the time for the exchange is over")
    sock.settimeout(left)
