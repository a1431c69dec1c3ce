# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""What anybody on the internet gets of a tcp, udp or tls service: a stream that stays, an answer, a certificate."""

from __future__ import annotations

import socket
import ssl
import time
import typing as t
import urllib.parse

from ansible_collections.wonder.mesh.plugins.module_utils._probe_dial import Dialer, is_timeout
from ansible_collections.wonder.mesh.plugins.module_utils._probe_protocol import describe

OPEN_SECONDS = 3.0
# A gateway takes a connection before it has one to the node, and ends it when there is none: within two seconds.
HOLD_SECONDS = 3.0
ASK_SECONDS = 1.0  # UDP is asked again after it
ASKS = 3


class StreamError(OSError):
    """There is no such service; the text says what was found."""


def probe_stream(name: str, url: str, send: str, address: str = "") -> dict[str, t.Any]:
    """One item of the module's ``streams``; ``send`` is the text that a UDP service answers.

    address: what to call instead of the URL's host, which stays the name that is asked for.
    """
    result: dict[str, t.Any] = {"name": name, "url": url, "address": address}
    result |= {"open": False, "certificate": "", "error": ""}
    try:
        parts = urllib.parse.urlsplit(url)
        kind = KINDS.get(parts.scheme)
        if kind is None or not parts.hostname or not parts.port:
            raise ValueError("it must be like tcp://HOST:PORT, udp://HOST:PORT or tls://HOST:PORT")
        result["certificate"] = kind(address or parts.hostname, parts.port, send or parts.hostname)
        result["open"] = True
    except (OSError, ValueError) as exc:
        result["error"] = describe(exc)
    return result


def _tcp(host: str, port: int, _send: str) -> str:
    """It stays open, or says something."""
    with Dialer()(host, port, OPEN_SECONDS) as sock:
        sock.settimeout(HOLD_SECONDS)
        try:
            said = sock.recv(1)
        except ConnectionResetError:
            said = b""
        except OSError as exc:
            if not is_timeout(exc):
                raise
            return ""
    if not said:
        raise StreamError("the connection was opened and then closed without a byte")
    return ""


def _tls(host: str, port: int, name: str) -> str:
    """The certificate of a handshake for that name, which is for its owner to verify."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with Dialer()(host, port, OPEN_SECONDS) as sock:
        sock.settimeout(HOLD_SECONDS)
        with context.wrap_socket(sock, server_hostname=name) as tls:
            return ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True) or b"")


def _udp(host: str, port: int, send: str) -> str:
    """Any answer; UDP may lose a packet, so it is asked more than once."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as sock:
        sock.connect(address)
        for _ in range(ASKS):
            until = time.monotonic() + ASK_SECONDS
            sock.settimeout(ASK_SECONDS)
            try:
                sock.send(send.encode())
                sock.recv(1)
            except OSError as exc:
                if not is_timeout(exc):
                    time.sleep(max(0.0, until - time.monotonic()))  # a port that is closed now may open
                continue
            return ""
    raise StreamError(f"no answer to {ASKS} packets within {ASKS * ASK_SECONDS:.0f} s")


KINDS: dict[str, t.Callable[[str, int, str], str]] = {"tcp": _tcp, "tls": _tls, "udp": _udp}
