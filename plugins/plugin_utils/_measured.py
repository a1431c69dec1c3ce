# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""What hosts measured, read so that a missing or odd answer of a host is a missing measurement and nothing worse."""

from __future__ import annotations

import dataclasses
import math
import typing as t
from collections.abc import Mapping

OUTSIDE = "outside --limit"
NOT_MEASURED = "not measured"
PATHS = ("direct", "peer-relay", "relay", "hub")


@dataclasses.dataclass(frozen=True)
class Peer:
    """How one peer was reached."""

    carried: bool
    latency_ms: float | None
    path: str
    error: str


@dataclasses.dataclass(frozen=True)
class Measured:
    """One host's measurement. missing: why there is none, or "" if there is one."""

    host: str
    missing: str = ""
    state: str = "not running"  # of its tailscaled or its interface, with the reason if there is none
    addresses: tuple[str, ...] = ()
    peers: Mapping[str, Peer] = dataclasses.field(default_factory=dict)
    connections: Mapping[tuple[str, int], tuple[str, str]] = dataclasses.field(default_factory=dict)
    answers: Mapping[int, bool] = dataclasses.field(default_factory=dict)
    # By URL and the address that was called for it, "" for what its name leads to.
    urls: Mapping[tuple[str, str], tuple[int | None, str]] = dataclasses.field(default_factory=dict)
    ports: Mapping[tuple[str, int, str], tuple[bool, str]] = dataclasses.field(default_factory=dict)
    mappings: tuple[str, ...] = ()  # where each STUN server saw the host, "" if it did not answer
    # open, certificate, error; by URL and address too
    streams: Mapping[tuple[str, str], tuple[bool, str, str]] = dataclasses.field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether the host should have measured and did not."""
        return self.missing not in ("", OUTSIDE)

    def carried(self, peer: str) -> bool:
        return peer in self.peers and self.peers[peer].carried


def read_measurement(host: str, raw: object) -> Measured:
    """raw: what mesh_probe returned on the host; None if the host gave nothing."""
    if not isinstance(raw, Mapping):
        return Measured(host, "it is unreachable, or failed before it could measure")
    if raw.get("failed") or raw.get("unreachable"):
        return Measured(host, f"its measurement failed: {_text(raw.get('msg')) or 'no reason given'}")
    node = raw["node"] if isinstance(raw.get("node"), Mapping) else {}
    return Measured(
        host,
        state=_text(node.get("state")) or " ".join(filter(None, ["not running", _text(raw.get("node_error"))])),
        addresses=tuple(_text(address) for address in _list(node.get("addresses"))),
        peers={
            _text(each.get("name")): Peer(
                each.get("carried") is True,
                _number(each.get("latency_ms")),
                path if (path := _text(each.get("path"))) in PATHS else "unknown",
                _text(each.get("error")),
            )
            for each in _maps(raw.get("peers"))
        },
        connections={
            (_text(each.get("to")), _int(each.get("port"))): (_text(each.get("outcome")), _text(each.get("error")))
            for each in _maps(raw.get("connections"))
        },
        answers={_int(each.get("port")): each.get("open") is True for each in _maps(raw.get("answers"))},
        urls={
            _where(each): (_int(each.get("status")) or None, _text(each.get("error")))
            for each in _maps(raw.get("urls"))
        },
        ports={
            (_text(each.get("name")), _int(each.get("port")), _text(each.get("protocol"))): (
                each.get("open") is True,
                _text(each.get("error")),
            )
            for each in _maps(raw.get("ports"))
        },
        mappings=tuple(_text(each.get("seen")) for each in _maps(raw.get("mappings"))),
        streams={
            _where(each): (
                each.get("open") is True,
                pem if isinstance(pem := each.get("certificate"), str) else "",
                _text(each.get("error")),
            )
            for each in _maps(raw.get("streams"))
        },
    )


def _where(each: Mapping[str, t.Any]) -> tuple[str, str]:
    return _text(each.get("url")), _text(each.get("address"))


def _list(value: object) -> list[t.Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _maps(value: object) -> list[Mapping[str, t.Any]]:
    return [each for each in _list(value) if isinstance(each, Mapping)]


def _text(value: object) -> str:
    """One line, so that what a host says cannot pretend to be another line of the report."""
    return " ".join(str(value).split()) if isinstance(value, str) else ""


def _int(value: object) -> int:
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else 0


def _number(value: object) -> float | None:
    """A duration; nothing for what cannot be one."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
    return round(float(t.cast("float", value)), 1) if number else None
