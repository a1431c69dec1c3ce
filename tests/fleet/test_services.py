# SPDX-License-Identifier: MIT
"""Services that are no HTTP, and what a gateway says of itself and of its clients, as a stranger sees it."""

from __future__ import annotations

import concurrent.futures
import json
import os
import shlex
import time
import typing as t
from pathlib import Path

import pytest
from test_failover import FAILOVER_SECONDS, FIRST, SECOND, stopped
from world import run

if t.TYPE_CHECKING:
    from world import Fleet

TALK, BULK = (Path(__file__).with_name(f"{name}.py") for name in ("talk", "bulk"))
TALKS = "/run/talks"
RELOADS = 20
MIB = int(os.environ.get("WONDER_MESH_BULK_MIB", "48"))  # each way through each stream; 1024 take minutes
SPOOFED = "198.51.100.66"
OFFLINE = "https://tunless.wm.test/"  # one node has it
RETURN_SECONDS = 5
ASK_TCP = "exec 3<>/dev/tcp/edge.wm.test/5432 && timeout 2 head -1 <&3"
ASK_UDP = "exec 3<>/dev/udp/edge.wm.test/9999 && printf hello >&3 && timeout 3 head -c 9 <&3"
# A node's own TLS comes up last when its services start.
AWAIT_ALL = "until curl --silent --insecure --max-time 5 --output /dev/null https://git.wm.test/; do sleep 0.2; done"
AWAIT_STREAMS = f"until [ $(ls {TALKS} | wc --lines) = 6 ]; do sleep 0.1; done"
ASK_STATUS = f"curl --silent --max-time 8 --output /dev/null --write-out '%{{http_code}}' {OFFLINE}"


def bash(command: str) -> str:
    return f"bash -c {shlex.quote(command)}"


def test_a_stranger_talks_with_a_tcp_service(demo: Fleet) -> None:
    assert run(demo.host("stranger"), bash(ASK_TCP)).stdout == f"{FIRST}\n"


def test_a_stranger_talks_with_a_udp_service(demo: Fleet) -> None:
    assert run(demo.host("stranger"), bash(ASK_UDP)).stdout == "nas hello"


def test_a_name_that_is_passed_on_shows_the_certificate_of_its_node(demo: Fleet) -> None:
    said = run(
        demo.host("stranger"), "curl --silent --insecure --verbose --max-time 10 https://git.wm.test/ 2>&1"
    ).stdout
    assert f"subject: CN={FIRST}" in said
    assert f"served by {FIRST}" in said


def test_the_proof_shows_whose_certificate_it_is(demo: Fleet) -> None:
    subjects = {each["name"]: each["subject"] for each in demo.result["services"] if each["subject"]}
    assert subjects == {"git": f"CN={FIRST}"}


def test_the_next_replica_of_a_tcp_service_takes_over_within_five_seconds(demo: Fleet) -> None:
    with stopped(demo.host(FIRST), "page.service") as since:
        said = ""
        while said != f"{SECOND}\n" and time.time() - since < 3 * FAILOVER_SECONDS:
            asked = time.time()
            said = run(demo.host("stranger"), bash(ASK_TCP)).stdout
    assert said == f"{SECOND}\n"
    assert asked - since <= FAILOVER_SECONDS


@pytest.fixture(scope="module")
def talked(demo: Fleet) -> dict[str, dict[str, t.Any]]:
    """What a stream of each kind said while the gateway was reloaded twenty times, and others that carried much."""
    stranger, edge = demo.host("stranger"), demo.host("edge")
    run(stranger, f"rm --recursive --force {TALKS} && mkdir {TALKS} && timeout 30 {bash(AWAIT_ALL)}")
    programs = {TALK: "", BULK: str(MIB)}
    plans = [
        f"timeout {100 + MIB} python3 -I -c {shlex.quote(each.read_text(encoding='utf-8'))} {TALKS} {argument}"
        for each, argument in programs.items()
    ]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        talks = [pool.submit(run, stranger, plan) for plan in plans]
        run(stranger, f"timeout 30 {bash(AWAIT_STREAMS)}")  # one that does not open says why
        each = "timeout 20 systemctl reload caddy.service"
        reloaded = run(edge, f"for i in $(seq {RELOADS}); do {each} || exit; done").rc
        run(stranger, f"touch {TALKS}/done")
        words, much = (json.loads(talk.result().stdout) for talk in talks)
    assert reloaded == 0
    return words | {f"much {kind}": heard for kind, heard in much.items()}


@pytest.mark.parametrize("kind", ["tcp", "udp", "tls"])
def test_twenty_reloads_cut_no_stream(talked: dict[str, dict[str, t.Any]], kind: str) -> None:
    assert talked[kind]["ended"] == ""
    assert talked[kind]["words"] > RELOADS


@pytest.mark.parametrize("kind", ["http", "tcp", "tls"])
def test_what_goes_both_ways_through_twenty_reloads_is_whole(talked: dict[str, dict[str, t.Any]], kind: str) -> None:
    assert talked[f"much {kind}"] == {"same": True, "error": ""}


def test_a_stranger_cannot_say_that_it_is_somebody_else(demo: Fleet) -> None:
    stranger = demo.host("stranger")
    names = ("X-Forwarded-For", "X-Real-IP", "True-Client-IP", "Forwarded")
    spoofed = " ".join(f"--header '{name}: {SPOOFED}'" for name in names)
    page = f"curl --silent --max-time 10 --dump-header - --output /dev/null {spoofed} https://hello.wm.test/"
    seen = [
        line.lower().strip() for line in run(stranger, page).stdout.splitlines() if line.lower().startswith("seen-")
    ]
    own = run(stranger, "hostname --all-ip-addresses").stdout.split()[0]
    assert sorted(seen) == [f"seen-x-forwarded-for: {own}", f"seen-x-real-ip: {own}"]


def test_a_service_without_nodes_is_an_offline_home_and_comes_back_within_five_seconds(demo: Fleet) -> None:
    stranger = demo.host("stranger")
    with stopped(demo.host("mini-2"), "page.service"):
        said = run(stranger, f"curl --silent --max-time 10 --include {OFFLINE}").stdout
    since = time.time()
    while (status := run(stranger, ASK_STATUS).stdout) != "200" and time.time() - since < 3 * RETURN_SECONDS:
        time.sleep(0.1)
    assert (status, time.time() - since <= RETURN_SECONDS) == ("200", True)
    head, _, body = said.partition("\r\n\r\n")
    assert head.split()[1] == "503"
    assert "retry-after: 5" in head.lower()
    assert "This home is offline" in body
