# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""Runs all measurements of one mesh_probe call at once, each in a thread, and ends in bounded time."""

from __future__ import annotations

import functools
import threading
import time
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._probe_dial import Dialer, DialError, split_address
from ansible_collections.wonder.mesh.plugins.module_utils._probe_mapping import ask_all, unasked
from ansible_collections.wonder.mesh.plugins.module_utils._probe_peer import (
    DIAL_SECONDS,
    PeerProbe,
    Times,
)
from ansible_collections.wonder.mesh.plugins.module_utils._probe_public import URL_SECONDS, Fetcher, probe_port
from ansible_collections.wonder.mesh.plugins.module_utils._probe_status import StatusFeed, reader
from ansible_collections.wonder.mesh.plugins.module_utils._probe_stream import probe_stream
from ansible_collections.wonder.mesh.plugins.module_utils._probe_wireguard import by_hops, interface_reader

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.module_utils._probe_status import RunCommand

Result = dict[str, t.Any]

RELAY_AFTER = range(1, 21)  # the responder ends a connection after 30 s, and the traffic must flow on one
ANSWER_SECONDS = 2.0
LAST_WORDS_SECONDS = 0.5  # what threads get beyond the deadline to say that it is over


class PlanError(Exception):
    """The arguments contradict each other; the text says which and how to mend them."""


def _items(**options: object) -> dict[str, object]:
    return {"type": "list", "elements": "dict", "default": [], "options": options}


TEXT = {"type": "str", "required": True}
OWN_TEXT = {"type": "str", "default": ""}
NUMBER = {"type": "int", "required": True}
# Of the module mesh_probe.
ARGUMENTS: dict[str, t.Any] = {
    "port": {"type": "int", "default": 7733},
    "member": {"type": "bool", "default": False},
    "tailscale": {"type": "path", "default": "/usr/local/bin/tailscale"},
    "socket": {"type": "path", "default": "/run/tailscale/tailscaled.sock"},
    "socks": {"type": "str", "default": ""},
    "interface": {"type": "str", "default": ""},
    "peers": _items(name=TEXT, dns=TEXT, address=OWN_TEXT),
    "connections": _items(to=TEXT, port=NUMBER),
    "answers": {"type": "list", "elements": "int", "default": []},
    "urls": _items(name=TEXT, url=TEXT, private={"type": "bool", "default": False}, address=OWN_TEXT),
    "ports": _items(
        name=TEXT,
        address=TEXT,
        port=NUMBER,
        protocol={"type": "str", "choices": ["stun", "tcp"], "default": "tcp"},
    ),
    "streams": _items(name=TEXT, url=TEXT, send=OWN_TEXT, address=OWN_TEXT),
    "stun": _items(address=TEXT, port=NUMBER),
    "relay_after": {"type": "int", "default": 10},
}


class Job:
    """One measurement in a daemon thread: a resolver that hangs must keep neither the others nor the module's end."""

    def __init__(self, work: t.Callable[[], Result], unfinished: t.Callable[[], Result]) -> None:
        """``unfinished`` gives what is known of the result when its time is over."""
        self._work = work
        self._unfinished = unfinished
        self._result: Result | None = None
        self._defect: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def result(self, until: float) -> Result:
        """The measurement, or what there is of it at ``until`` (monotonic seconds); a defect of ours is raised."""
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._defect is not None:
            raise self._defect
        if self._result is not None:
            return self._result
        left = self._unfinished()
        return {**left, "error": left.get("error") or "the time for this measurement ran out"}

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as exc:
            self._defect = exc


def check_plan(plan: dict[str, t.Any]) -> None:
    """Raise PlanError for arguments that contradict each other."""
    if plan["relay_after"] not in RELAY_AFTER:
        raise PlanError(f"relay_after is {plan['relay_after']}, expected {RELAY_AFTER[0]} to {RELAY_AFTER[-1]} seconds")
    if plan["socks"] and plan["interface"]:
        raise PlanError("socks and interface are both given: a host with an interface of WireGuard has no proxy")
    if plan["socks"]:
        try:
            split_address(plan["socks"])
        except ValueError as exc:
            raise PlanError(f"socks: {exc}") from None
    if not plan["member"]:
        for key in ("peers", "connections", "answers"):
            if plan[key]:
                raise PlanError(f"{key} is given without member: only a member of the mesh can measure {key}")
    names = {peer["name"] for peer in plan["peers"]}
    for item in plan["connections"]:
        if item["to"] not in names:
            raise PlanError(f"connections names {item['to']!r}, which is not in peers: add it there too")


def answer(run_command: RunCommand, plan: dict[str, t.Any]) -> dict[str, t.Any]:
    """What the module mesh_probe returns. Raises PlanError."""
    return {"changed": False, **measure(plan, run_command)}


def measure(plan: dict[str, t.Any], run_command: RunCommand) -> Result:
    """The module's result for its arguments, at the latest GRACE_SECONDS after ``relay_after``; raises PlanError."""
    check_plan(plan)
    times = Times(plan["relay_after"])
    dial = Dialer(plan["socks"])
    feed, observe = StatusFeed(reader(run_command, plan["tailscale"], plan["socket"])), None
    if plan["interface"]:
        feed = StatusFeed(interface_reader(run_command, plan["interface"], plan["peers"]))
        observe = functools.partial(by_hops, plan["port"])
    if plan["member"]:
        feed.start()

    probes = [PeerProbe(peer["name"], peer["dns"], plan["port"], dial, feed, times, observe) for peer in plan["peers"]]
    by_name = {probe.name: probe for probe in probes}
    fetch = Fetcher()
    bind = functools.partial
    jobs = {
        "peers": [Job(probe.run, probe.result) for probe in probes],
        "connections": [
            Job(bind(_connection, by_name[item["to"]], item, dial, times), bind(dict, item, outcome="error"))
            for item in plan["connections"]
        ],
        "answers": [
            Job(bind(_answer, port, plan["socks"], feed, times), bind(dict, port=port, open=False))
            for port in plan["answers"]
        ],
        "urls": [
            Job(
                bind(fetch, **item),
                bind(dict, _place(item), status=None, location="", ms=URL_SECONDS * 1000),
            )
            for item in plan["urls"]
        ],
        "ports": [Job(bind(probe_port, **item), bind(dict, item, open=False)) for item in plan["ports"]],
        "streams": [
            Job(bind(probe_stream, **item), bind(dict, _place(item), open=False, certificate=""))
            for item in plan["streams"]
        ],
    }
    servers = plan["stun"]
    mappings = Job(lambda: {"items": ask_all(servers)}, lambda: {"items": unasked(servers)})
    until = times.end + LAST_WORDS_SECONDS
    result: Result = {kind: [job.result(until) for job in each] for kind, each in jobs.items()}
    result["mappings"] = mappings.result(until)["items"]
    result["node"], result["node_error"] = _node(feed, times) if plan["member"] else (None, "")
    feed.stop()
    return result


def _place(item: dict[str, t.Any]) -> dict[str, t.Any]:
    return {key: item[key] for key in ("name", "url", "address")}


def _connection(probe: PeerProbe, item: dict[str, t.Any], dial: Dialer, times: Times) -> Result:
    """One item of ``connections``; it waits until the path is up, so that silence means the port and not the path."""
    probe.settled.wait(max(0.0, times.end - time.monotonic()))
    outcome, error = "open", ""
    try:
        if not probe.address:
            raise DialError("error", f"the mesh address of {item['to']} is not known: {probe.result()['error']}")
        dial(probe.address, item["port"], max(0.1, min(DIAL_SECONDS, times.end - time.monotonic()))).close()
    except DialError as exc:
        outcome, error = exc.outcome, str(exc)
    return {"to": item["to"], "port": item["port"], "outcome": outcome, "error": error}


def _answer(port: int, socks: str, feed: StatusFeed, times: Times) -> Result:
    """One item of ``answers``; a userspace node hands what comes for its mesh address to 127.0.0.1."""
    error = ""
    address = "127.0.0.1"
    try:
        if not socks:
            snapshot = feed.wait_for(lambda status: bool(status.address), times.appear)
            address = snapshot.status.address if snapshot.status else ""
        if not address:
            raise DialError("error", f"this node has no mesh address: {feed.latest.error or 'it is not running'}")
        Dialer()(address, port, ANSWER_SECONDS).close()
    except DialError as exc:
        error = str(exc)
    return {"port": port, "open": not error, "error": error}


def _node(feed: StatusFeed, times: Times) -> tuple[Result | None, str]:
    """The node itself, and why it is None when tailscaled did not say."""
    snapshot = feed.wait_for(lambda status: status.state == "Running", times.appear)
    if snapshot.status is None:
        return None, snapshot.error
    status = snapshot.status
    return {"addresses": list(status.addresses), "dns": status.dns, "state": status.state}, ""
