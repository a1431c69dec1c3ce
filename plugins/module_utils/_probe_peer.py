# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""Measures one peer: is it there, which path does traffic take, does that path carry data, how fast is it."""

from __future__ import annotations

import functools
import threading
import time
import typing as t
from dataclasses import asdict, dataclass, field

from ansible_collections.wonder.mesh.plugins.module_utils._probe_protocol import LIMIT, describe, echo, exchange
from ansible_collections.wonder.mesh.plugins.module_utils._probe_status import Path, decide

if t.TYPE_CHECKING:
    import socket

    from ansible_collections.wonder.mesh.plugins.module_utils._probe_dial import Dial
    from ansible_collections.wonder.mesh.plugins.module_utils._probe_status import PeerStatus, Snapshot, StatusFeed

    # The path that traffic takes since then (monotonic seconds), or None when more of it is needed.
    Observe = t.Callable[[t.Optional[PeerStatus], Snapshot, float], t.Optional[Path]]

DIAL_SECONDS = 3.0
# How long a peer may take to appear: a lost WireGuard handshake is repeated after 5 s, a netmap may lag, and a node
# that has just joined finds a relay by its second look at the latest, which tailscaled takes after 20 to 26 s.
START_SECONDS = 30.0
GRACE_SECONDS = 33.0  # what a call may take beyond relay_after: START_SECONDS to begin, the rest to carry the bytes
ECHO_SECONDS = 3.0  # traffic counts as flowing while each round trip takes less
PAUSE_SECONDS = 0.25
LATENCY_ROUNDS = 5


@dataclass(frozen=True)
class Times:
    """The limits of one call, in seconds of the monotonic clock."""

    relay_after: float
    began: float = field(default_factory=time.monotonic)

    @property
    def appear(self) -> float:
        return self.began + START_SECONDS

    @property
    def settle(self) -> float:
        return self.appear + self.relay_after + 1.0  # the last reading may come up to one poll after relay_after

    @property
    def end(self) -> float:
        return self.began + self.relay_after + GRACE_SECONDS


@dataclass
class PeerResult:
    """One item of the module's ``peers``."""

    name: str
    address: str = ""
    carried: bool = False
    sent: int = 0
    received: int = 0
    latency_ms: float | None = None
    path: str = "unknown"
    endpoint: str = ""
    error: str = ""


class PeerProbe:
    """The probe of one peer, made to run in a thread of its own; ``settled`` is set when others may use the path."""

    def __init__(
        self,
        name: str,
        dns: str,
        port: int,
        dial: Dial,
        feed: StatusFeed,
        times: Times,
        observe: Observe | None = None,
    ) -> None:
        """``observe`` finds the path of traffic that flows; without it, what tailscaled says of the peer counts."""
        self._dns = dns
        self._port = port
        self._dial = dial
        self._feed = feed
        self._times = times
        self._observe = observe or functools.partial(by_status, times.relay_after)
        self._result = PeerResult(name)
        self.settled = threading.Event()  # the first round trip succeeded, or there is none to wait for

    @property
    def name(self) -> str:
        return self._result.name

    @property
    def address(self) -> str:
        return self._result.address

    def result(self) -> dict[str, t.Any]:
        return asdict(self._result)

    def run(self) -> dict[str, t.Any]:
        result = self._result
        try:
            with self._follow_until_settled() as sock:
                result.latency_ms = round(min(self._round_trip(sock) for _ in range(LATENCY_ROUNDS)) * 1000, 2)
            with self._connect() as sock:
                done = exchange(sock, LIMIT, self._times.end)
            result.carried, result.sent, result.received = done.carried, done.sent, done.received
            result.error = result.error or done.error
        except OSError as exc:
            result.error = describe(exc)
        finally:
            self.settled.set()
        return self.result()

    def _follow_until_settled(self) -> socket.socket:
        """Keep traffic flowing until the path is known; returns the connection it flowed on, raises OSError.

        A connection that breaks is made anew, and the traffic's time then starts again.
        """
        while True:
            try:
                sock = self._connect()
                try:
                    path = self._follow(sock)
                except OSError:
                    sock.close()
                    raise
            except OSError:
                if time.monotonic() >= (self._times.settle if self.settled.is_set() else self._times.appear):
                    raise
                time.sleep(PAUSE_SECONDS)
                continue
            self._result.path, self._result.endpoint = path.kind, path.endpoint
            if path.kind == "unknown":
                self._result.error = "traffic flows, but its path was not found in time: " + self._doubt()
            return sock

    def _follow(self, sock: socket.socket) -> Path:
        """Round trips on one connection until a status proves the path, or the time for that is over."""
        self._round_trip(sock)
        since = time.monotonic()
        self.settled.set()
        while True:
            self._round_trip(sock)
            snapshot = self._feed.latest
            path = self._observe(self._find(snapshot), snapshot, since)
            if path is not None:
                return path
            if time.monotonic() >= self._times.settle:
                return Path()
            time.sleep(PAUSE_SECONDS)

    def _round_trip(self, sock: socket.socket) -> float:
        return echo(sock, min(time.monotonic() + ECHO_SECONDS, self._times.end))

    def _connect(self) -> socket.socket:
        peer = self._find(self._feed.latest)
        if peer is None or not peer.address:
            raise OSError(self._doubt())
        self._result.address = peer.address
        timeout = min(DIAL_SECONDS, self._times.end - time.monotonic())
        if timeout <= 0:
            raise OSError("the time for this peer is over")
        try:
            return self._dial(peer.address, self._port, timeout)
        except OSError as exc:
            offline = "" if peer.online else "; the coordinator says that the peer is offline"
            raise OSError(f"{describe(exc)}{offline}") from None

    def _find(self, snapshot: Snapshot) -> PeerStatus | None:
        return snapshot.status.find(self._result.name, self._dns) if snapshot.status else None

    def _doubt(self) -> str:
        """Why there is no usable status of the peer."""
        snapshot = self._feed.latest
        if snapshot.status is None:
            return snapshot.error
        if snapshot.status.state != "Running":
            return f"this node is in state {snapshot.status.state}, expected Running"
        if self._find(snapshot) is None:
            return f"tailscaled knows no peer {self._dns}: it has not joined, or the policy hides it"
        return "no address, no direct endpoint and no relay of it is known"


def by_status(relay_after: float, peer: PeerStatus | None, snapshot: Snapshot, since: float) -> Path | None:
    """What tailscaled says of the peer."""
    return decide(peer, snapshot.began, since, relay_after)
