# SPDX-License-Identifier: MIT
"""What tailscaled says about peers, and which path that proves."""

from __future__ import annotations

import threading
import time
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils import _probe_status as status
from tests.unit.probe import servers

DIRECT = {"cur_addr": "203.0.113.21:41641"}
PEER_RELAY = {"peer_relay": "203.0.113.5:40000:vni:1"}
RELAYED = {"relay": "hub"}


def peer(**fields: t.Any) -> status.PeerStatus:
    return status.PeerStatus("nas.mesh.wm.test", "nas", ("100.64.0.3",), **fields)


@pytest.mark.parametrize(
    ("fields", "seconds", "expected"),
    [
        (DIRECT, 0.0, ("direct", "203.0.113.21:41641")),
        (DIRECT | RELAYED, 0.1, ("direct", "203.0.113.21:41641")),
        (DIRECT | PEER_RELAY | RELAYED, 30.0, ("direct", "203.0.113.21:41641")),
        (PEER_RELAY | RELAYED, 0.1, ("peer-relay", "203.0.113.5:40000:vni:1")),
        (RELAYED, 0.0, None),
        (RELAYED, 9.99, None),
        (RELAYED, 10.0, ("relay", "hub")),
        (RELAYED, 12.0, ("relay", "hub")),
        ({}, 9.99, None),
        ({}, 10.0, ("unknown", "")),
        (DIRECT, -0.01, None),
        (PEER_RELAY, -1.0, None),
        (RELAYED, -1.0, None),
    ],
)
def test_the_path_that_a_status_proves(
    fields: dict[str, str], seconds: float, expected: tuple[str, str] | None
) -> None:
    """``seconds`` are those between the first traffic and the reading; one from before proves nothing."""
    path = status.decide(peer(**fields), 1000.0 + seconds, 1000.0, 10.0)
    assert (path and (path.kind, path.endpoint)) == expected


def test_a_peer_that_is_gone_proves_nothing() -> None:
    assert status.decide(None, 1020.0, 1000.0, 10.0) is None


@pytest.mark.parametrize(
    ("name", "dns", "expected"),
    [
        ("nas", "nas.mesh.wm.test", "nas.mesh.wm.test"),
        ("nas", "NAS.mesh.wm.test.", "nas.mesh.wm.test"),
        ("nas", "nas.old.domain", "nas.mesh.wm.test"),
        ("nas", "nas", "nas.mesh.wm.test"),
        ("mini", "", "mini.mesh.wm.test"),
        ("mini-x", "mini-x", None),
        ("twin", "twin.elsewhere", None),
        ("twin", "twin-1.mesh.wm.test", "twin-1.mesh.wm.test"),
        ("box", "box.mesh.wm.test", "renamed.mesh.wm.test"),
    ],
)
def test_finds_a_peer_by_name(name: str, dns: str, expected: str | None) -> None:
    text = servers.status(
        {
            "nas": {},
            "mini": {},
            "twin-1": {"HostName": "twin"},
            "twin-2": {"HostName": "twin"},
            "renamed": {"HostName": "BOX"},
        }
    )
    found = status.parse_status(text).find(name, dns)
    assert (found and found.dns) == expected


def test_reads_what_tailscale_prints() -> None:
    parsed = status.parse_status(servers.status({"nas": {"Relay": "hub", "CurAddr": None, "Online": False}}))
    assert (parsed.state, parsed.dns, parsed.address) == ("Running", "mini-1.mesh.wm.test", "127.0.0.1")
    nas = parsed.peers[0]
    assert (nas.address, nas.online, nas.cur_addr, nas.relay) == ("127.0.0.1", False, "", "hub")


def test_reads_a_node_that_has_not_joined() -> None:
    parsed = status.parse_status('{"BackendState": "NeedsLogin", "TailscaleIPs": null, "Self": {}, "Peer": null}')
    assert (parsed.state, parsed.addresses, parsed.peers) == ("NeedsLogin", (), ())


@pytest.mark.parametrize("text", ["", "no", "[]", "{}", '{"BackendState": 1}'])
def test_refuses_what_is_no_status(text: str) -> None:
    with pytest.raises(status.StatusError):
        status.parse_status(text)


def answering(rc: int, out: str, err: str) -> status.Read:
    return status.reader(lambda args, **_: (rc, out, err), "/bin/tailscale", "/run/t.sock")


def test_asks_over_the_socket() -> None:
    calls: list[list[str]] = []

    def run_command(args: list[str], **_: t.Any) -> tuple[int, str, str]:
        calls.append(args)
        return 0, servers.status({}), ""

    status.reader(run_command, "/bin/tailscale", "/run/t.sock")()
    assert calls == [["/bin/tailscale", "--socket=/run/t.sock", "status", "--json"]]


def test_a_daemon_that_does_not_run_is_named() -> None:
    with pytest.raises(status.StatusError, match="exit status 1: failed to connect to local tailscaled"):
        answering(1, "", "failed to connect to local tailscaled\n")()


def test_a_status_counts_whatever_the_exit_status() -> None:
    assert answering(1, servers.status({}, state="Stopped"), "Tailscale is stopped.")().state == "Stopped"


def test_a_missing_program_is_named() -> None:
    def run_command(args: list[str], **_: t.Any) -> tuple[int, str, str]:
        raise FileNotFoundError(2, "No such file or directory")

    with pytest.raises(status.StatusError, match="/bin/tailscale cannot be run"):
        status.reader(run_command, "/bin/tailscale", "/run/t.sock")()


def test_the_feed_survives_errors_and_goes_on() -> None:
    answers = iter([status.StatusError("not yet"), status.parse_status(servers.status({}))])

    def read() -> status.Status:
        answer = next(answers, None) or status.parse_status(servers.status({"nas": {}}))
        if isinstance(answer, Exception):
            raise answer
        return answer

    feed = status.StatusFeed(read, interval=0.02)
    feed.start()
    snapshot = feed.wait_for(lambda each: bool(each.peers), time.monotonic() + servers.LIMIT)
    feed.stop()
    assert snapshot.status is not None


def test_a_daemon_that_hangs_holds_nobody_up() -> None:
    release = threading.Event()

    def read() -> status.Status:
        release.wait(servers.LIMIT)
        raise status.StatusError("late")

    feed = status.StatusFeed(read)
    feed.start()
    begin = time.monotonic()
    snapshot = feed.wait_for(lambda _: True, begin + 0.2)
    feed.stop()
    release.set()
    assert time.monotonic() - begin < 2
    assert snapshot.status is None
    assert "has not answered yet" in snapshot.error
