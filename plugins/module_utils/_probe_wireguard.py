# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""Where plain WireGuard carries the mesh: what the host's interface is, and how many machines packets pass.

A tunnel takes nothing off a packet's hops (TTL), a hub that passes it on takes one. So a connection that opens with
packets of one hop ends at the first machine that they meet in the mesh. No configuration is believed for this.
"""

from __future__ import annotations

import json
import socket
import struct
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._probe_status import (
    Path,
    PeerStatus,
    Status,
    StatusError,
)

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.module_utils._probe_status import Read, RunCommand, Snapshot

MOST_HOPS = 3
HOP_SECONDS = 2.5  # room for one repetition of a lost first packet, which comes after 1 s
IP_RECVERR, IPV6_RECVERR = 11, 25  # linux/in.h and linux/in6.h; Python has no names for them
EXTENDED_ERROR = struct.Struct(
    "=IBBBBII"
)  # struct sock_extended_err of linux/errqueue.h; the offender's address follows
FROM_ICMP = (2, 3)  # SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6


def interface_reader(run_command: RunCommand, interface: str, peers: t.Sequence[t.Mapping[str, str]]) -> Read:
    """A function that reads the host's own interface; it raises StatusError with what is to be done."""

    def read() -> Status:
        rc, out, err = run_command(["ip", "-json", "address", "show", "dev", interface])
        if rc != 0:
            raise StatusError(f"there is no interface {interface} ({err.strip()}): is WireGuard provisioned here?")
        return parse_interface(out, peers)

    return read


def parse_interface(text: str, peers: t.Sequence[t.Mapping[str, str]]) -> Status:
    """``ip -json address show dev NAME`` as Status, with the peers that the caller knows; raises StatusError."""
    try:
        found = next(each for each in json.loads(text) if each)
        up = "UP" in found["flags"]
        addresses = tuple(each["local"] for each in found["addr_info"] if each["scope"] == "global")
    except (ValueError, KeyError, TypeError, StopIteration):
        raise StatusError("ip did not print an interface as JSON") from None
    known = tuple(PeerStatus(peer["dns"], "", (peer["address"],), online=True) for peer in peers)
    return Status("Running" if up and addresses else "down or without addresses", "", addresses, known)


def by_hops(port: int, peer: PeerStatus | None, _snapshot: Snapshot, _since: float) -> Path | None:
    """The path that packets to the peer take now; unknown if none of so few hops arrives."""
    if peer is None:
        return None
    last = ""
    for hops in range(1, MOST_HOPS + 1):
        arrived, passed = reach(peer.address, port, hops)
        if arrived:
            return Path("direct") if hops == 1 else Path("hub", last)
        last = passed or last
    return Path()


def reach(address: str, port: int, hops: int, timeout: float = HOP_SECONDS) -> tuple[bool, str]:
    """Whether a connection opens with packets of so many hops, and else where they ended, if that machine said so."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        sock.settimeout(timeout)
        try:
            sock.connect((address, port))
            # Where the answer of a machine on the way comes while connect still sends, Linux only queues it, and
            # Python takes the socket for connected.
            sock.getpeername()
        except OSError:
            return False, _offender(sock)
    return True, ""


def _offender(sock: socket.socket) -> str:
    """Who said that the packet's hops were over; "" if nobody, or if this kernel does not tell for TCP."""
    try:
        _data, controls, _flags, _to = sock.recvmsg(512, 512, socket.MSG_ERRQUEUE)
    except OSError:
        return ""
    for level, kind, data in controls:
        if (level, kind) not in ((socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)):
            continue
        if len(data) < EXTENDED_ERROR.size or EXTENDED_ERROR.unpack_from(data)[1] not in FROM_ICMP:
            continue
        address = data[EXTENDED_ERROR.size :]
        if level == socket.IPPROTO_IP and len(address) >= 8:
            return socket.inet_ntop(socket.AF_INET, address[4:8])
        if level == socket.IPPROTO_IPV6 and len(address) >= 24:
            return socket.inet_ntop(socket.AF_INET6, address[8:24])
    return ""
