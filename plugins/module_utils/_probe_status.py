# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""What ``tailscale status --json`` says, read again and again by one thread for all, and what path that proves."""

from __future__ import annotations

import json
import threading
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.wonder.mesh.plugins.module_utils._probe_protocol import describe

POLL_SECONDS = 0.7

Read = t.Callable[[], "Status"]
RunCommand = t.Callable[..., "tuple[int, str, str]"]


class StatusError(Exception):
    """tailscaled could not be asked, or its answer is not a status."""


@dataclass(frozen=True)
class PeerStatus:
    """One peer; ``cur_addr``, ``peer_relay`` and ``relay`` are tailscaled's CurAddr, PeerRelay and Relay."""

    dns: str
    host_name: str
    addresses: tuple[str, ...]
    online: bool = False
    cur_addr: str = ""
    peer_relay: str = ""
    relay: str = ""

    @property
    def address(self) -> str:
        return _first(self.addresses)


@dataclass(frozen=True)
class Status:
    """The node itself (``state`` is tailscaled's BackendState) and its peers."""

    state: str
    dns: str
    addresses: tuple[str, ...]
    peers: tuple[PeerStatus, ...]

    @property
    def address(self) -> str:
        return _first(self.addresses)

    def find(self, name: str, dns: str) -> PeerStatus | None:
        """The peer with this DNS name, or else the only one whose first DNS label or host name is the same."""
        wanted = _plain(dns)
        for peer in self.peers:
            if wanted and peer.dns == wanted:
                return peer
        label = (wanted or _plain(name)).split(".")[0]
        for candidates in (
            [peer for peer in self.peers if peer.dns.split(".")[0] == label],
            [peer for peer in self.peers if peer.host_name == label],
        ):
            if len(candidates) == 1:
                return candidates[0]
        return None


@dataclass(frozen=True)
class Path:
    """How two nodes talk: ``direct``, ``peer-relay``, ``relay``, ``hub`` or ``unknown``; and the address, if known."""

    kind: str = "unknown"
    endpoint: str = ""


def decide(peer: PeerStatus | None, read_at: float, flowing_since: float, relay_after: float) -> Path | None:
    """The path that a status proves, or None when more traffic is needed; times are seconds of the monotonic clock.

    A status that was asked for before the traffic flowed proves nothing (``read_at`` < ``flowing_since``). The first
    packets always go through a relay, so ``relay`` needs ``relay_after`` seconds of traffic both ways without a better
    path.
    """
    if peer is None or read_at < flowing_since:
        return None
    if peer.cur_addr:
        return Path("direct", peer.cur_addr)
    if peer.peer_relay:
        return Path("peer-relay", peer.peer_relay)
    if read_at < flowing_since + relay_after:
        return None
    return Path("relay", peer.relay) if peer.relay else Path()


def parse_status(text: str) -> Status:
    """``tailscale status --json`` as Status; raises StatusError."""
    try:
        data = json.loads(text)
    except ValueError:
        raise StatusError("tailscale status did not print JSON") from None
    if not isinstance(data, dict) or not isinstance(data.get("BackendState"), str):
        raise StatusError("tailscale status printed JSON without a BackendState")
    own = data.get("Self") or {}
    return Status(
        state=data["BackendState"],
        dns=_plain(own.get("DNSName")),
        addresses=tuple(data.get("TailscaleIPs") or own.get("TailscaleIPs") or ()),
        peers=tuple(_peer(peer) for peer in (data.get("Peer") or {}).values()),
    )


def reader(run_command: RunCommand, tailscale: str, socket: str) -> Read:
    """A function that asks tailscaled for its status; it raises StatusError with what is to be done."""

    def read() -> Status:
        try:
            rc, out, err = run_command([tailscale, f"--socket={socket}", "status", "--json"], handle_exceptions=False)
        except OSError as exc:
            raise StatusError(f"{tailscale} cannot be run ({describe(exc)}): is tailscaled provisioned here?") from exc
        if rc != 0 and not out.lstrip().startswith("{"):
            raise StatusError(f"tailscale status failed with exit status {rc}: {err.strip() or 'no text'}")
        return parse_status(out)

    return read


@dataclass(frozen=True)
class Snapshot:
    """One reading: when it began (monotonic seconds), and the status or the reason why there is none."""

    began: float
    status: Status | None
    error: str = ""


class StatusFeed:
    """Reads the status every POLL_SECONDS in a thread, so that a hanging tailscaled holds nobody up."""

    def __init__(self, read: Read, interval: float = POLL_SECONDS) -> None:
        self._read = read
        self._interval = interval
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._latest = Snapshot(0.0, None, "tailscaled has not answered yet")

    def start(self) -> None:
        threading.Thread(target=self._poll, name="tailscale status", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    @property
    def latest(self) -> Snapshot:
        with self._changed:
            return self._latest

    def wait_for(self, good: t.Callable[[Status], bool], until: float) -> Snapshot:
        """The first snapshot whose status is good; the latest one when ``until`` (monotonic) comes first."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._latest.status is not None and good(self._latest.status),
                max(0.0, until - time.monotonic()),
            )
            return self._latest

    def _poll(self) -> None:
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                snapshot = Snapshot(began, self._read())
            except StatusError as exc:
                snapshot = Snapshot(began, None, str(exc))
            with self._changed:
                self._latest = snapshot
                self._changed.notify_all()
            self._stopped.wait(self._interval)


def _peer(data: dict[str, t.Any]) -> PeerStatus:
    return PeerStatus(
        dns=_plain(data.get("DNSName")),
        host_name=_plain(data.get("HostName")),
        addresses=tuple(data.get("TailscaleIPs") or ()),
        online=bool(data.get("Online")),
        cur_addr=data.get("CurAddr") or "",
        peer_relay=data.get("PeerRelay") or "",
        relay=data.get("Relay") or "",
    )


def _first(addresses: tuple[str, ...]) -> str:
    """The first IPv4 address, or else the first of all."""
    return next((address for address in addresses if ":" not in address), next(iter(addresses), ""))


def _plain(name: str | None) -> str:
    """A DNS name without the trailing dot, in lower case."""
    return (name or "").rstrip(".").lower()
