# SPDX-License-Identifier: MIT
"""What the kills' harness takes for a point, for a torn file and for a call: mistakes here would hide others."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from tests.fault.kills import judge, tunnel, wireguard
from tests.fault.kills.calls import Call, last_of_each
from tests.fault.kills.story import Told

CONFIG = "file /etc/demo"
ARGUMENTS = {"name": "demo", "files": [{"path": "/etc/demo", "content": "it's 1\n"}]}
SENT = f"""
ansible_module='wonder.mesh.daemon',
params={json.dumps({"ANSIBLE_MODULE_ARGS": ARGUMENTS})!r},
extensions={{}},
"""


class Event(t.NamedTuple):
    call: str
    where: str

    def __str__(self) -> str:
        return f"{self.call} {self.where}"


def seen(content: str) -> dict[str, t.Any]:
    return {CONFIG: ["0o100644", "root", "root", content]}


def told(*points: dict[str, t.Any]) -> Told:
    common = {"kind": "point", "host": "a", "way": "w", "event": "e", "occurrence": 1, "who": "all", "down": []}
    return Told([{"kind": "way", "candidates": 30, "points": 2}, *(common | each for each in points)], [])


def test_each_event_is_a_point() -> None:
    events = [Event("rename", "/a"), Event("rename", "/b")]
    assert judge.candidates(events) == [("rename /a", 1, "all"), ("rename /b", 1, "all")]  # type: ignore[arg-type]


def test_where_a_command_starts_the_module_also_dies_alone() -> None:
    found = judge.candidates([Event("execve", "cp")])  # type: ignore[list-item]
    assert found == [("execve cp", 1, "all"), ("execve cp", 1, "alone")]


def test_of_many_pieces_the_first_ones_and_the_middle_are_points() -> None:
    found = judge.candidates([Event("write", "/program")] * 40)  # type: ignore[list-item]
    assert [occurrence for _label, occurrence, _who in found] == [1, 2, 20]


@pytest.mark.parametrize(("between", "torn"), [("old", 0), ("new", 0), ("half", 1), ("", 1)])
def test_a_file_that_is_neither_old_nor_new_is_torn(between: str, torn: int) -> None:
    assert len(judge.torn(seen("old"), seen(between), seen("new"))) == torn


def test_a_file_beside_its_target_is_not_torn() -> None:
    assert judge.torn({}, {"file /etc/.demo.wonder-mesh": ["0o100600", "root", "root", "half"]}, {}) == []


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b'{"changed": true}', ""),
        (b'{"failed": true, "msg": "no"}', "status 0: no"),
        (b'{"missing": ["abc"]}', "status 0: {'missing': ['abc']}"),
        (b"Traceback", "status 0, and it said Traceback"),
    ],
)
def test_a_run_that_did_not_do_its_work_is_a_problem(said: bytes, expected: str) -> None:
    outcome = t.cast("t.Any", type("Outcome", (), {"status": 0, "said": said}))
    assert judge.problem(outcome) == expected


def test_a_call_can_be_made_with_other_arguments() -> None:
    call = Call.of(SENT)
    assert call
    changed = call.with_content("/etc/demo", "1", "2").with_arguments(state="absent")
    assert changed.arguments == {
        "name": "demo",
        "files": [{"path": "/etc/demo", "content": "it's 2\n"}],
        "state": "absent",
    }


def test_of_several_calls_for_one_daemon_the_last_one_counts() -> None:
    call = Call.of(SENT)
    assert call
    later = call.with_arguments(state="stopped").text
    assert last_of_each([SENT, "", later])["demo"].arguments["state"] == "stopped"


def test_the_summary_counts_what_was_found() -> None:
    found = told({"wrong": ["lost: a key: 1 -> None", "unit a: x -> y"], "torn": ["t"]}, {"wrong": [], "torn": []})
    assert found.summary() == (
        "kills: 2 points, 2 killed, 1 torn files, and after one more run 1 lost keys or databases, 1 daemons down, "
        "0 hosts out of reach, 0 leftovers, 0 failed runs, 0 other differences; "
        "0 times a daemon was down until that run"
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/etc/group.1916", True),
        ("/etc/passwd-", True),
        ("/tmp/ansible_wonder.mesh.daemon_payload_x/a", True),  # noqa: S108
        (str(Path("~root/.ansible/tmp/ansible-tmp-1/AnsiballZ_daemon.py").expanduser()), True),
        ("/etc/group", False),
        ("/etc/systemd/system/.demo.service.wonder-mesh", False),
        ("/srv/.ansible/tmp/ansible-tmp-1/secret", False),
    ],
)
def test_only_what_is_not_ours_may_be_left(path: str, expected: bool) -> None:
    assert judge.is_residue(path) == expected


def test_keys_do_not_count_in_what_is_compared_of_an_interface() -> None:
    key = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="
    assert tunnel.without_keys(f'{{"public_key": "{key}", "serial": 12}}') == '{"public_key": "a key", "serial": N}'


def test_every_situation_of_an_interface_can_be_reached_from_every_other() -> None:
    table = {"addresses": ["10.77.0.1/32"], "peers": []}
    call = Call.of(
        SENT.replace("daemon", "wireguard_interface").replace('"name": "demo"', '"binaries": {}, "uploads": {}')
    )
    assert call
    call = call.with_arguments(table=table, binaries={"x86_64": []}, uploads={})
    for job in (wireguard.changing(call, {}, "10.77.0.1/32"), wireguard.coming(call), wireguard.key_alone(call)):
        ways = {(way["start"], way.get("repaired") or way["end"]) for way in job.ways}
        ways |= {(way["start"], way["end"]) for way in job.ways}
        states = {state for way in ways for state in way}
        for start in states:
            seen = {start}
            while more := {there for here, there in ways if here in seen} - seen:
                seen |= more
            assert seen == states
        assert all(way.get("script") or way["call"] in job.calls for way in job.ways)
