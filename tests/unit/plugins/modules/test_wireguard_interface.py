# SPDX-License-Identifier: MIT
"""``wireguard_interface`` on a host in memory."""

from __future__ import annotations

import base64
import json
import re
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils import _x25519
from ansible_collections.wonder.mesh.plugins.modules import wireguard_interface
from tests.unit.plugins.modules.judge import Judge
from tests.unit.plugins.modules.wireguard_host import (
    UNIT,
    WireGuardHost,
    key,
    number,
    peer,
    table,
    told,
)

if t.TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., dict[str, t.Any]]

HOST = WireGuardHost
HUB = {"mesh": True, "networks": []}


def key_path(host: WireGuardHost) -> t.Any:
    return host.root / "etc" / "wonder-mesh" / "wireguard" / "wm0.key"


def test_an_interface_gets_all_that_its_table_says(up: WireGuardHost) -> None:
    state = up.running
    assert state is not None
    assert (state["port"], state["mtu"], state["up"]) == (51820, 1420, True)
    assert state["addresses"] == ["10.77.0.9/32", "fd77::9/128"]
    assert state["routes"] == ["10.77.0.0/16", "fd77::/64"]
    assert {each["endpoint"][0] for each in state["peers"].values()} == {"203.0.113.1", "203.0.113.2"}
    assert "chain input" in up.unit("nft").runs["wonder_mesh_wm0"].decode()


def test_the_public_key_that_is_returned_is_that_of_the_file(host: WireGuardHost, run_interface: Run) -> None:
    answer = run_interface(host.wanted())
    private = base64.b64decode(key_path(host).read_text())
    assert base64.b64decode(answer["public_key"]) == _x25519.public_of(private)


def test_a_second_run_changes_nothing_and_tells_the_interface_nothing(up: WireGuardHost, run_interface: Run) -> None:
    before = up.snapshot()
    answer = run_interface(up.wanted())
    assert (answer["changed"], answer["diff"], up.orders(), told(up)) == (False, [], [], [])
    assert up.snapshot() == before


def test_without_a_table_only_the_key_is_made(host: WireGuardHost, run_interface: Run) -> None:
    first, second = run_interface({}), run_interface({})
    assert (first["changed"], second["changed"], first["public_key"]) == (True, False, second["public_key"])
    assert (key_path(host).stat().st_mode & 0o777, host.orders()) == (0o600, [])


def test_no_answer_holds_a_secret(host: WireGuardHost, run_interface: Run) -> None:
    answers = json.dumps(
        [
            run_interface(host.wanted(), check_mode=True),
            run_interface(host.wanted()),
            run_interface({"regenerate": True}),
        ]
    )
    assert host.secret()
    assert host.secret() not in answers
    assert not re.search(r'psk\\?"', answers)  # as a name; a public key may have these letters in it


def test_pre_shared_keys_that_come_with_the_call_need_no_upload(host: WireGuardHost, run_interface: Run) -> None:
    wanted = host.wanted()
    keys = {each["name"]: key(f"with {each['name']}") for each in wanted["table"]["peers"]}
    uploads = {digest: path for digest, path in wanted["uploads"].items() if digest != wanted["preshared_sha256"]}
    answer = run_interface({**wanted, "uploads": uploads, "preshared_keys": keys})
    assert (answer["failed"], answer.get("missing")) == (False, None), answer
    assert [each for each in keys.values() if each in json.dumps(answer)] == []
    assert not run_interface(wanted)["changed"]


def test_a_difference_of_pre_shared_keys_shows_none(up: WireGuardHost, run_interface: Run) -> None:
    answer = run_interface(up.wanted(table=table(peer("hub-1", 1), peer("mini", 3))))
    assert "(another secret)" in json.dumps(answer["diff"])
    assert [name for name in ("hub-1", "hub-2", "mini") if key(f"with {name}") in json.dumps(answer)] == []


def test_a_new_peer_touches_no_other(up: WireGuardHost, run_interface: Run) -> None:
    peers = [*table()["peers"], peer("mini", 3)]
    answer = run_interface(up.wanted(table=table(*peers)))
    assert (answer["changed"], answer["restarted"], told(up)) == (True, False, [number("mini")])
    assert up.orders() == [f"reload -- {UNIT}"]


def test_a_peer_that_goes_touches_no_other(up: WireGuardHost, run_interface: Run) -> None:
    run_interface(up.wanted(table=table(peer("hub-1", 1))))
    assert told(up) == [number("hub-2")]


def test_peers_never_start_a_trial(up: WireGuardHost, run_interface: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Judge(monkeypatch, wireguard_interface)
    run_interface(up.wanted(table=table(peer("hub-1", 1, allowed_ips=["10.77.0.1/32", "10.77.0.7/32"])), trial="t"))
    assert judge.trials == [""]


@pytest.mark.parametrize(
    "changes",
    [
        {"addresses": ["10.77.0.10/32"]},
        {"port": 51821},
        {"mtu": 1380},
        {"routes": ["10.77.0.0/16"]},
        {"extra_ports": [123]},
        {"forward": HUB},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_is_the_hosts_own_is_changed_on_trial(
    up: WireGuardHost, run_interface: Run, monkeypatch: pytest.MonkeyPatch, changes: dict[str, t.Any]
) -> None:
    judge = Judge(monkeypatch, wireguard_interface)
    answer = run_interface(up.wanted(table=table(**changes), trial="t"))
    assert (answer["failed"], judge.trials) == (False, ["t"])


def test_rules_are_changed_on_trial(up: WireGuardHost, run_interface: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Judge(monkeypatch, wireguard_interface)
    run_interface(up.wanted(rules={"input": [{"from": ["10.77.0.0/16"], "ports": ["tcp:22"]}]}, trial="t"))
    assert judge.trials == ["t"]


def test_what_nobody_confirms_is_taken_back(
    up: WireGuardHost, run_interface: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = up.snapshot()
    Judge(monkeypatch, wireguard_interface, reason="Nobody came")
    answer = run_interface(up.wanted(table=table(port=51821), trial="t"))
    assert (answer["failed"], "Nobody came" in answer["msg"]) == (True, True)
    assert up.snapshot() == before


def test_what_the_host_refuses_is_taken_back(up: WireGuardHost, run_interface: Run) -> None:
    before = up.snapshot()
    answer = run_interface(up.wanted(table=table(mtu=666)))
    assert (answer["failed"], up.snapshot() == before) == (True, True)


@pytest.mark.parametrize("damage", [b"", b"\n", b"nonsense", b"A" * 43 + b"=\n", b"AAAA\n", b"\xff\xfe"])
def test_a_damaged_key_is_kept_and_refused(up: WireGuardHost, run_interface: Run, damage: bytes) -> None:
    key_path(up).write_bytes(damage)
    for wanted in (up.wanted(), {}):
        answer = run_interface(wanted)
        assert (answer["failed"], "regenerate" in answer["msg"]) == (True, True)
    assert key_path(up).read_bytes() == damage
    assert up.orders() == []


def test_a_key_is_replaced_only_when_that_is_said(up: WireGuardHost, run_interface: Run) -> None:
    before = key_path(up).read_text()
    first = run_interface({"regenerate": True})
    assert first["changed"]
    assert key_path(up).read_text() != before
    assert run_interface({})["public_key"] == first["public_key"]


def test_a_running_interface_keeps_its_key_until_a_table_comes(up: WireGuardHost, run_interface: Run) -> None:
    run_interface({"regenerate": True})
    assert told(up) == []
    answer = run_interface(up.wanted())
    state = up.running
    assert state is not None
    assert (answer["changed"], bytes.fromhex(state["private_key"])) == (True, base64.b64decode(up.secret()))


def test_a_new_key_and_a_table_do_not_go_together(up: WireGuardHost, run_interface: Run) -> None:
    answer = run_interface(up.wanted(regenerate=True))
    assert (answer["failed"], "without table first" in answer["msg"]) == (True, True)


def test_a_host_with_another_key_than_the_registrys_is_refused(up: WireGuardHost, run_interface: Run) -> None:
    before = up.snapshot()
    answer = run_interface(up.wanted(table=table(public_key="xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=")))
    assert (answer["failed"], "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=" in answer["msg"]) == (True, True)
    assert up.snapshot() == before


def test_a_key_that_others_could_read_is_made_private(up: WireGuardHost, run_interface: Run) -> None:
    key_path(up).chmod(0o644)
    answer = run_interface(up.wanted())
    assert (answer["changed"], key_path(up).stat().st_mode & 0o777) == (True, 0o600)


@pytest.mark.parametrize(
    "changes",
    [{"table": table(peer("hub-1", 1), peer("mini", 3))}, {"rules": {"input": []}}, {"names": {}}, {"registry": "x\n"}],
    ids=lambda changes: next(iter(changes)),
)
def test_check_mode_foretells_a_change(up: WireGuardHost, run_interface: Run, changes: dict[str, t.Any]) -> None:
    before = up.snapshot()
    foretold = run_interface(up.wanted(**changes), check_mode=True)
    assert up.snapshot() == before
    answer = run_interface(up.wanted(**changes))
    assert (foretold["changed"], foretold["diff"]) == (True, answer["diff"])
    assert not run_interface(up.wanted(**changes))["changed"]


def test_nothing_is_left_of_what_is_removed_with_its_data(host: WireGuardHost, run_interface: Run) -> None:
    before = host.snapshot()
    run_interface(host.wanted())
    foretold = run_interface({"state": "absent", "remove_data": True}, check_mode=True)
    answer = run_interface({"state": "absent", "remove_data": True})
    assert (answer["changed"], foretold["diff"]) == (True, answer["diff"])
    assert host.snapshot() == before
    assert not run_interface({"state": "absent", "remove_data": True})["changed"]


def test_the_key_stays_unless_it_is_to_go(up: WireGuardHost, run_interface: Run) -> None:
    public = run_interface({})["public_key"]
    run_interface({"state": "absent"})
    assert up.running is None
    assert not run_interface({"state": "absent"})["changed"]
    assert run_interface(up.wanted())["public_key"] == public


def test_a_host_without_nft_is_refused_before_anything_is_changed(
    host: WireGuardHost, run_interface: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "_nft", lambda *_: (127, "", ""))
    answer = run_interface(host.wanted())
    assert (answer["failed"], "package nftables" in answer["msg"], host.secret()) == (True, True, "")


def test_a_host_without_a_way_to_have_an_interface_is_refused(
    host: WireGuardHost, run_interface: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ansible_collections.wonder.mesh.plugins.module_utils._wireguard_here.TUN", "/none")
    answer = run_interface(host.wanted())
    assert (answer["failed"], "TUN" in answer["msg"], host.secret()) == (True, True, "")


@pytest.mark.parametrize("name", ["WM0", "wm 0", "wm0;x", "0wm", "a" * 16, ""])
def test_a_name_that_no_interface_can_have_is_refused(host: WireGuardHost, run_interface: Run, name: str) -> None:
    assert run_interface(host.wanted(name=name))["failed"]


def test_a_program_is_asked_for_only_where_one_is_needed(host: WireGuardHost, run_interface: Run) -> None:
    assert run_interface(host.wanted(binaries={}))["missing"] == ["program"]
    assert run_interface(host.wanted(binaries={}, implementation="kernel", uploads={}))["missing"] != ["program"]
