# SPDX-License-Identifier: MIT
"""The module as a whole, against the real responder and a tailscale program that prints what is wanted."""

from __future__ import annotations

import socket
import time
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils import _probe_peer
from ansible_collections.wonder.mesh.plugins.modules import mesh_probe
from tests.unit.probe import servers
from tests.unit.probe.stun_servers import response, stun_server

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., dict[str, t.Any]]

NAS = {"name": "nas", "dns": "nas.mesh.wm.test"}


@pytest.fixture(autouse=True)
def short_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_probe_peer, "START_SECONDS", 0.8)


@pytest.fixture
def port() -> Iterator[int]:
    with servers.responder() as running:
        yield running.port


@pytest.fixture
def tailscale(tmp_path: Path) -> Callable[[str, int], str]:
    """Makes a program that prints this text and ends with this status."""

    def make(text: str, rc: int = 0) -> str:
        (tmp_path / "status").write_text(text)
        program = tmp_path / "tailscale"
        program.write_text(f"#!/bin/sh\ncat {tmp_path}/status\nexit {rc}\n")
        program.chmod(0o755)
        return str(program)

    return make


def direct(*names: str) -> str:
    return servers.status({name: {"CurAddr": "203.0.113.21:41641", "Relay": "hub"} for name in names})


@pytest.mark.parametrize("check", [False, True])
def test_measures_all_at_once_and_changes_nothing(
    run_module: Run, tailscale: Callable[[str], str], port: int, check: bool
) -> None:
    with servers.serve(lambda sock: None) as listening, servers.silent_port() as silent:
        shut = servers.closed_port()
        result = run_module(
            mesh_probe.main,
            check=check,
            port=port,
            member=True,
            tailscale=tailscale(direct("nas")),
            peers=[NAS],
            connections=[{"to": "nas", "port": each} for each in (listening, shut, silent)],
            answers=[listening, shut],
            urls=[{"name": "hello", "url": f"http://127.0.0.1:{shut}/"}],
            ports=[{"name": "hub", "address": "127.0.0.1", "port": listening}],
        )
    assert (result["failed"], result["changed"]) == (False, False)
    assert result["node"] == {"addresses": ["127.0.0.1", "::1"], "dns": "mini-1.mesh.wm.test", "state": "Running"}
    assert result["node_error"] == ""
    assert [(each["name"], each["path"], each["carried"]) for each in result["peers"]] == [("nas", "direct", True)]
    assert [each["outcome"] for each in result["connections"]] == ["open", "refused", "silent"]
    assert [(each["port"], each["open"]) for each in result["answers"]] == [(listening, True), (shut, False)]
    assert [(each["status"], bool(each["error"])) for each in result["urls"]] == [(None, True)]
    assert [(each["protocol"], each["open"]) for each in result["ports"]] == [("tcp", True)]


def test_dials_peers_through_socks(run_module: Run, tailscale: Callable[[str], str], port: int) -> None:
    """The proxy knows where 100.64.0.3 is; the host does not. Own ports are tried on 127.0.0.1."""

    def proxy(sock: socket.socket) -> None:
        servers.exactly(sock, 3)
        sock.sendall(b"\x05\x00")
        asked.append(servers.exactly(sock, 10))
        if asked[-1][8:] != port.to_bytes(2, "big"):
            sock.sendall(b"\x05\x01\x00\x01" + bytes(6))
            return
        sock.sendall(b"\x05\x00\x00\x01" + bytes(6))
        with socket.create_connection(("127.0.0.1", port), servers.LIMIT) as onward:
            servers.splice(sock, onward)

    asked: list[bytes] = []
    text = servers.status({"nas": {"TailscaleIPs": ["fd7a::3", "100.64.0.3"], "CurAddr": "203.0.113.21:41641"}})
    with servers.serve(proxy) as socks, servers.serve(lambda sock: None) as own:
        result = run_module(
            mesh_probe.main,
            port=port,
            member=True,
            tailscale=tailscale(text),
            socks=f"127.0.0.1:{socks}",
            peers=[NAS],
            connections=[{"to": "nas", "port": 22}],
            answers=[own],
        )
    assert (result["peers"][0]["address"], result["peers"][0]["carried"]) == ("100.64.0.3", True)
    assert result["connections"][0]["outcome"] == "refused"
    assert result["answers"][0]["open"]
    assert {each[4:8] for each in asked} == {b"\x64\x40\x00\x03"}


@pytest.mark.parametrize(
    ("text", "rc", "words"),
    [("failed to connect to local tailscaled", 1, "exit status 1"), ("no JSON", 0, "did not print JSON")],
)
def test_a_tailscaled_that_does_not_answer_is_a_measurement(
    run_module: Run, tailscale: Callable[[str, int], str], text: str, rc: int, words: str
) -> None:
    result = run_module(
        mesh_probe.main,
        member=True,
        tailscale=tailscale(text, rc),
        peers=[NAS],
        connections=[{"to": "nas", "port": 22}],
        answers=[22],
    )
    assert not result["failed"]
    assert result["node"] is None
    assert words in result["node_error"]
    assert words in result["peers"][0]["error"]
    assert result["connections"][0]["outcome"] == "error"
    assert words in result["connections"][0]["error"]
    assert not result["answers"][0]["open"]


def test_a_missing_tailscale_is_a_measurement(run_module: Run, tmp_path: Path) -> None:
    result = run_module(mesh_probe.main, member=True, tailscale=str(tmp_path / "none"), peers=[NAS])
    assert not result["failed"]
    assert "cannot be run" in result["node_error"]


def test_a_node_that_has_not_joined_says_so(run_module: Run, tailscale: Callable[[str], str]) -> None:
    result = run_module(mesh_probe.main, member=True, tailscale=tailscale(servers.status({}, state="NeedsLogin")))
    assert result["node"]["state"] == "NeedsLogin"


def test_an_unreachable_peer_does_not_disturb_the_others(
    run_module: Run, tailscale: Callable[[str], str], port: int
) -> None:
    other = {"name": "laptop", "dns": "laptop.mesh.wm.test"}
    result = run_module(mesh_probe.main, port=port, member=True, tailscale=tailscale(direct("nas")), peers=[other, NAS])
    assert [(each["name"], each["carried"]) for each in result["peers"]] == [("laptop", False), ("nas", True)]
    assert "knows no peer laptop" in result["peers"][0]["error"]


def test_a_stranger_needs_no_tailscale(run_module: Run, tmp_path: Path) -> None:
    with servers.serve(lambda sock: None) as listening:
        result = run_module(
            mesh_probe.main,
            tailscale=str(tmp_path / "none"),
            ports=[{"name": "hub", "address": "127.0.0.1", "port": listening}],
        )
    assert (result["node"], result["node_error"], result["ports"][0]["open"]) == (None, "", True)


def test_a_host_learns_where_stun_servers_see_it(run_module: Run) -> None:
    with stun_server(lambda _, it: response(it)) as one, stun_server(lambda _, it: response(it, port=4001)) as other:
        asked = [{"address": "127.0.0.1", "port": port} for port in (one, other)]
        result = run_module(mesh_probe.main, stun=asked)
    assert result["mappings"] == [
        {**asked[0], "seen": "192.0.2.1 32853", "error": ""},
        {**asked[1], "seen": "192.0.2.1 4001", "error": ""},
    ]


def test_a_hanging_resolver_does_not_hold_the_module_up(
    run_module: Run, tailscale: Callable[[str], str], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_probe_peer, "GRACE_SECONDS", 1.0)
    resolve = socket.getaddrinfo

    def hang(host: str, *args: t.Any, **kwargs: t.Any) -> t.Any:
        if host == "hub.wm.test":
            time.sleep(4)
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    begin = time.monotonic()
    result = run_module(
        mesh_probe.main,
        port=port,
        member=True,
        tailscale=tailscale(direct("nas")),
        peers=[NAS],
        ports=[{"name": "hub", "address": "hub.wm.test", "port": 443}],
        stun=[{"address": "hub.wm.test", "port": 3478}],
        relay_after=1,
    )
    assert time.monotonic() - begin < 3.5
    assert "ran out" in result["ports"][0]["error"]
    assert (result["mappings"][0]["seen"], result["mappings"][0]["error"]) == ("", "it was not asked")
    assert result["peers"][0]["carried"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"peers": [NAS]}, "peers is given without member"),
        ({"answers": [22]}, "answers is given without member"),
        ({"member": True, "connections": [{"to": "nas", "port": 22}]}, "'nas', which is not in peers"),
        ({"relay_after": 0}, "relay_after is 0, expected 1 to 20"),
        ({"relay_after": 21}, "relay_after is 21, expected 1 to 20"),
        ({"member": True, "socks": "1055"}, "expected something like 127.0.0.1:1055"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(
    run_module: Run, arguments: dict[str, t.Any], words: str
) -> None:
    result = run_module(mesh_probe.main, **arguments)
    assert result["failed"]
    assert words in result["msg"]
