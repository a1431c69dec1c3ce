# SPDX-License-Identifier: MIT
"""One STUN server that is asked, and several that tell how a NAT maps."""

from __future__ import annotations

import ipaddress
import struct
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils import _probe_mapping as mapping
from ansible_collections.wonder.mesh.plugins.module_utils import _probe_public as public
from ansible_collections.wonder.mesh.plugins.module_utils import _probe_stun as stun
from tests.unit.probe import servers
from tests.unit.probe.stun_servers import response, stun_server

if t.TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stun, "TRY_SECONDS", (0.1, 0.1, 0.1))


def test_a_stun_answer_tells_our_address() -> None:
    with stun_server(lambda _, transaction: response(transaction)) as port:
        assert stun.ask("127.0.0.1", port) == "192.0.2.1 32853"
        assert public.probe_port("hub", "127.0.0.1", port, "stun")["open"]


@pytest.mark.usefixtures("impatient")
def test_a_stun_request_is_sent_three_times() -> None:
    with stun_server(lambda number, transaction: response(transaction) if number == 3 else None) as port:
        assert stun.ask("127.0.0.1", port)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda _: None, "silence after 3 requests"),
        (lambda _: b"hello", "has 5 bytes"),
        (lambda _: response(bytes(12)), "another transaction id"),
        (lambda transaction: response(transaction, kind=0x0111), "no STUN binding success"),
        (lambda transaction: response(transaction, attribute=0x0006), "no XOR-MAPPED-ADDRESS"),
        (lambda transaction: response(transaction)[:-1], "no STUN binding success"),
        (lambda transaction: response(transaction) + b"x", "no STUN binding success"),
    ],
)
def test_any_other_stun_answer_is_none(answer: Callable[[bytes], bytes | None], words: str) -> None:
    with stun_server(lambda _, transaction: answer(transaction)) as port:
        result = public.probe_port("hub", "127.0.0.1", port, "stun")
    assert not result["open"]
    assert words in result["error"]


def test_a_closed_udp_port_and_a_name_that_does_not_resolve_are_named() -> None:
    assert "refused" in public.probe_port("hub", "127.0.0.1", servers.closed_port(), "stun")["error"]
    assert "does not resolve" in public.probe_port("hub", "no-such-host.invalid", 3478, "stun")["error"]


def test_reads_an_ipv6_address() -> None:
    transaction = bytes(range(12))
    mask = struct.pack("!I", stun.MAGIC) + transaction
    address = ipaddress.ip_address("2001:db8::1").packed
    value = struct.pack("!BBH", 0, 2, 32853 ^ 0x2112) + bytes(a ^ b for a, b in zip(address, mask, strict=True))
    packet = struct.pack("!HHI", 0x0101, 4 + len(value), stun.MAGIC) + transaction
    packet += struct.pack("!HH", 0x0020, len(value)) + value
    assert stun.parse(packet, transaction) == "2001:db8::1 32853"


def at(*ports: int) -> list[dict[str, t.Any]]:
    return [{"address": "127.0.0.1", "port": port} for port in ports]


def test_a_mapping_is_what_each_server_sees() -> None:
    with stun_server(lambda _, it: response(it, port=4001)) as one, stun_server(lambda _, it: response(it)) as other:
        asked = mapping.ask_all(at(one, other))
    assert [each["seen"] for each in asked] == ["192.0.2.1 4001", "192.0.2.1 32853"]
    assert [each["error"] for each in asked] == ["", ""]


def test_all_servers_see_the_same_socket() -> None:
    with stun_server() as one, stun_server() as other:
        seen = {each["seen"] for each in mapping.ask_all(at(one, other))}
    assert len(seen) == 1
    assert seen != {""}


@pytest.mark.usefixtures("impatient")
def test_a_server_that_does_not_answer_does_not_disturb_the_others() -> None:
    with stun_server(lambda number, it: response(it) if number == 3 else None) as late, servers.silent_port() as silent:
        places = [{"address": "no-such-host.invalid", "port": 3478}, *at(silent, servers.closed_port(), late)]
        asked = mapping.ask_all(places)
    assert [each["seen"] for each in asked] == ["", "", "", "192.0.2.1 32853"]
    assert "does not resolve" in asked[0]["error"]
    assert [each["error"] for each in asked[1:]] == ["no STUN answer", "no STUN answer", ""]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "answer", [lambda _: response(bytes(12)), lambda it: response(it, kind=0x0111), lambda _: b"x"]
)
def test_what_is_no_answer_says_nothing_of_a_mapping(answer: Callable[[bytes], bytes]) -> None:
    with stun_server(lambda _, transaction: answer(transaction)) as port:
        assert mapping.ask_all(at(port))[0]["seen"] == ""


@pytest.mark.usefixtures("impatient")
def test_the_answer_of_another_server_does_not_count() -> None:
    """Both are asked; the first keeps the other's transaction and answers in its place."""
    kept: list[bytes] = []

    def keep(_number: int, transaction: bytes) -> None:
        kept.append(transaction)

    with stun_server(keep) as silent, stun_server(lambda _, it: response(kept[-1] if kept else it)) as liar:
        asked = mapping.ask_all(at(silent, liar))
    assert asked[0]["seen"] == ""
