# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""TCP connects, straight or through a userspace node's SOCKS5 proxy, and what a failed one means."""

from __future__ import annotations

import ipaddress
import socket
import struct
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._probe_protocol import describe

# tailscaled answers every failure with 1 (general failure), but for silence only after 5 s, when we have given up.
SOCKS_REFUSED = (1, 5)
SOCKS_REPLIES = {
    2: "not allowed by the proxy's rules",
    3: "network unreachable",
    4: "host unreachable",
    6: "time to live expired",
    7: "command not supported",
    8: "address type not supported",
}

Dial = t.Callable[[str, int, float], socket.socket]


class DialError(OSError):
    """No connection; ``outcome`` is ``refused`` (a reset), ``silent`` (no answer in time) or ``error`` (the rest)."""

    def __init__(self, outcome: str, text: str) -> None:
        super().__init__(text)
        self.outcome = outcome


class Dialer:
    """Makes TCP connections to mesh addresses; ``socks`` is ``""`` or the ``host:port`` of a SOCKS5 proxy."""

    def __init__(self, socks: str = "") -> None:
        self._proxy = split_address(socks) if socks else None

    def __call__(self, address: str, port: int, timeout: float) -> socket.socket:
        """A connected socket without Nagle's delay; raises DialError. ``timeout``: at most 4 s, see SOCKS_REFUSED."""
        where = f"{address} port {port}"
        try:
            if self._proxy is None:
                sock = socket.create_connection((address, port), timeout)
            else:
                sock = self._through_proxy(self._proxy, address, port, timeout)
        except DialError:
            raise
        except ConnectionRefusedError:
            raise DialError("refused", f"{where} refused the connection") from None
        except OSError as exc:
            if is_timeout(exc):
                raise DialError("silent", f"{where} did not answer within {timeout:.1f} s") from None
            raise DialError("error", f"no connection to {where}: {describe(exc)}") from None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def _through_proxy(self, proxy: tuple[str, int], address: str, port: int, timeout: float) -> socket.socket:
        try:
            sock = socket.create_connection(proxy, timeout)
        except OSError as exc:
            text = f"the SOCKS5 proxy at {proxy[0]}:{proxy[1]} cannot be reached: {describe(exc)}"
            raise DialError("error", text) from None
        try:
            socks_connect(sock, address, port)
        except OSError:
            sock.close()
            raise
        return sock


def socks_connect(sock: socket.socket, address: str, port: int) -> None:
    """Ask the SOCKS5 proxy (RFC 1928, no password) at the other end to connect on; raises DialError or a timeout."""
    sock.sendall(b"\x05\x01\x00")
    if _exactly(sock, 2) != b"\x05\x00":
        raise DialError("error", "the proxy does not speak SOCKS5 without a password")
    sock.sendall(b"\x05\x01\x00" + _socks_address(address) + struct.pack("!H", port))
    version, code, _, kind = _exactly(sock, 4)
    if version != 5:
        raise DialError("error", f"the proxy answered with SOCKS version {version}, expected 5")
    if code in SOCKS_REFUSED:
        raise DialError("refused", f"the SOCKS5 proxy could not connect to {address} port {port} (reply {code})")
    if code:
        text = SOCKS_REPLIES.get(code, f"SOCKS5 reply {code}")
        raise DialError("error", f"no connection to {address} port {port}: {text}")
    _exactly(sock, {1: 4, 4: 16}.get(kind) or _exactly(sock, 1)[0])  # the bound address, which nobody needs
    _exactly(sock, 2)


def split_address(text: str) -> tuple[str, int]:
    """``host:port`` or ``[v6]:port`` as a pair; raises ValueError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is no address and port, expected something like 127.0.0.1:1055")
    return host.strip("[]"), int(port)


def is_timeout(exc: OSError) -> bool:
    """Whether nothing came back in time; on Python 3.9 socket.timeout is not yet the same as TimeoutError."""
    kinds: tuple[type[BaseException], ...] = (socket.timeout, TimeoutError)
    return isinstance(exc, kinds)


def _socks_address(address: str) -> bytes:
    try:
        packed = ipaddress.ip_address(address).packed
    except ValueError:
        name = address.encode("idna")
        return b"\x03" + bytes([len(name)]) + name
    return (b"\x01" if len(packed) == 4 else b"\x04") + packed


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise DialError("error", "the SOCKS5 proxy closed the connection before its answer was whole")
        data += more
    return data
