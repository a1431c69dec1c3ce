# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""Whether the SSH session that runs us comes through a daemon of this very host, which a change would disturb.

With a TUN device, the session's address on this host is that of an interface that the daemon holds open. Without one,
the daemon takes the connection itself and makes another one to loopback, whose far end is a socket of the daemon.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator

SIOCGIFADDR = 0x8915  # linux/sockios.h


class Session(t.NamedTuple):
    """One SSH connection, seen from its server."""

    client_port: int
    address: str  # of the server
    port: int


def comes_through(units: t.Sequence[str], proc: str = "/proc") -> bool:
    """Whether a process of one of these units carries the session that runs us."""
    session = _session(proc)
    if session is None:
        return False
    sockets = _far_ends(session, proc)
    for pid in _processes(units, proc):
        for descriptor, target in _descriptors(pid, proc):
            if target in sockets:
                return True
            if target == "/dev/net/tun" and session.address in _addresses(_interface(pid, descriptor, proc), proc):
                return True
    return False


def _session(proc: str) -> Session | None:
    """The session that the nearest process above us knows: sudo keeps it from us, but not from itself."""
    pid = os.getpid()
    with contextlib.suppress(OSError, ValueError, IndexError):
        while pid > 1:
            for entry in _read(proc, str(pid), "environ").split(b"\0"):
                name, _, value = entry.partition(b"=")
                if name == b"SSH_CONNECTION":
                    _client, client_port, address, port = value.decode().split()
                    return Session(int(client_port), address, int(port))
            pid = int(_read(proc, str(pid), "stat").rpartition(b")")[2].split()[1])
    return None


def _far_ends(session: Session, proc: str) -> set[str]:
    """How descriptors name the sockets on this host that are the session's other end."""
    ports = (session.client_port, session.port)
    found = set()
    for family in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError):  # a host without IPv6
            for line in _read(proc, "net", family).decode().splitlines()[1:]:
                fields = line.split()
                if tuple(int(end.rpartition(":")[2], 16) for end in fields[1:3]) == ports:
                    found.add(f"socket:[{fields[9]}]")
    return found


def _processes(units: t.Sequence[str], proc: str) -> Iterator[str]:
    for pid in os.listdir(proc):
        if pid.isdigit():
            with contextlib.suppress(OSError):  # it has ended
                groups = _read(proc, pid, "cgroup").decode()
                if not set(units).isdisjoint(part for line in groups.splitlines() for part in line.split("/")):
                    yield pid


def _descriptors(pid: str, proc: str) -> Iterator[tuple[str, str]]:
    directory = os.path.join(proc, pid, "fd")
    with contextlib.suppress(OSError):
        for descriptor in os.listdir(directory):
            with contextlib.suppress(OSError):
                yield descriptor, os.readlink(os.path.join(directory, descriptor))


def _interface(pid: str, descriptor: str, proc: str) -> str:
    """The network interface that this descriptor of a TUN device stands for; empty when it is none."""
    with contextlib.suppress(OSError):
        for line in _read(proc, pid, "fdinfo", descriptor).decode().splitlines():
            name, _, value = line.partition(":")
            if name == "iff":
                return value.strip()
    return ""


def _addresses(interface: str, proc: str) -> set[str]:
    found = set()
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        answer = fcntl.ioctl(asking.fileno(), SIOCGIFADDR, struct.pack("256s", interface.encode()[:15]))
        found.add(socket.inet_ntoa(answer[20:24]))
    with contextlib.suppress(OSError):
        for line in _read(proc, "net", "if_inet6").decode().splitlines():
            digits, *_, name = line.split()
            if name == interface:
                found.add(socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits)))
    return found


def _read(*parts: str) -> bytes:
    with open(os.path.join(*parts), "rb") as stream:
        return stream.read()
