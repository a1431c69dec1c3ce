# SPDX-License-Identifier: MIT
"""No secret is left or shown anywhere, whether a run succeeds or fails; and a planted one is found in every place."""

from __future__ import annotations

import dataclasses
import time
import typing as t

import pytest

from tests.fault.sweep import Trace, secrets, sweep, traced

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fault.ground import Ground
    from tests.fault.rounds import Bare

NODE, COORDINATOR = "box-1", "vps"
CHECK, NODES = "playbooks/check.yml", "playbooks/nodes.yml"
COORDINATION, GATEWAYS = "playbooks/coordinator.yml", "playbooks/gateways.yml"
CANARY = "canary-5e1f0c9d7b3a48e2"
LEAVE = f"{NODE}: timeout 20 tailscale logout"


@dataclasses.dataclass(frozen=True)
class Story:
    """What is done to hosts first ("host: script"), the play, how it ends, and what makes good again."""

    name: str
    before: tuple[str, ...]
    playbooks: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    succeeds: bool = False
    mints: bool = False
    after: tuple[str, ...] = ()


STORIES = [
    Story("a join", (LEAVE,), (CHECK, NODES), ("--limit", NODE), succeeds=True, mints=True),
    Story(
        "a coordinator that mints no key",
        (LEAVE, f"{COORDINATOR}: systemctl stop headscale"),
        (CHECK, NODES),
        ("--limit", NODE),
        after=(f"{COORDINATOR}: systemctl start headscale",),
    ),
    Story(
        "a node that is sent elsewhere",
        (LEAVE,),
        (CHECK, NODES),
        ("--limit", NODE, "--extra-vars", "tailscaled_login_server=https://nowhere.wm.test"),
        mints=True,
    ),
    Story(
        "a certificate that is none",
        (),
        (CHECK, GATEWAYS),
        ("--extra-vars", '{"caddy_certificates": [{"certificate": "/etc/hostname", "key": "KEY"}]}'),
    ),
    Story("a daemon that does not start", (), (CHECK, COORDINATION), ("--extra-vars", "headscale_prefix_v4=none")),
]


def tell(ground: Ground, lines: tuple[str, ...]) -> None:
    for line in lines:
        host, _, script = line.partition(": ")
        ground.run(host, script)


@pytest.fixture(params=STORIES, ids=lambda story: story.name)
def story(
    request: pytest.FixtureRequest, ground: Ground, bare: Bare
) -> t.Iterator[tuple[Story, int, list[str], Trace]]:
    """A story, with the exit status of its play, what was found, and what was seen."""
    assert bare.done
    chosen, since = request.param, time.time()
    wanted = secrets(ground)
    key = str(ground.inventory_file.parent.parent / "certificates" / f"{COORDINATOR}.key")
    arguments = [each.replace("KEY", key) for each in chosen.arguments]
    tell(ground, chosen.before)
    with traced(ground, [NODE]) as trace:
        status, output = ground.play_loudly("-vvvv", *arguments, playbooks=chosen.playbooks)
    trace.output = output.encode()
    wanted |= secrets(ground) | set(trace.join_keys)
    yield chosen, status, sweep(ground, wanted, trace, since), trace
    tell(ground, chosen.after)
    if not chosen.succeeds and LEAVE in chosen.before:
        ground.play("--limit", NODE, playbooks=[CHECK, NODES])


def test_no_secret_is_anywhere(story: tuple[Story, int, list[str], Trace]) -> None:
    told, status, found, trace = story
    assert (status == 0, bool(trace.join_keys), trace.samples > 100) == (told.succeeds, told.mints, True)
    assert found == []


PLACES: dict[str, Callable[[str], str]] = {
    "a file that others can read": lambda word: f"echo {word} >/etc/canary",
    "what is left in a temporary directory": lambda word: f"umask 077; echo {word} >/tmp/canary",
    "the journal": lambda word: f"systemd-cat echo {word}; sleep 1",
    "a process": lambda word: f"sh -c 'sleep 0.3' {word}",
    "an environment": lambda word: f"CANARY={word} sleep 0.3",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_planted_secret_is_found(ground: Ground, place: str) -> None:
    canary, since = f"{CANARY}-{len(place)}", time.time()
    with traced(ground, [NODE]) as trace:
        ground.run(NODE, PLACES[place](canary))
    found = sweep(ground, {canary}, trace, since)
    ground.run(NODE, "rm -f /etc/canary /tmp/canary")
    assert found != []


def test_a_secret_planted_on_the_controller_is_found(ground: Ground, tmp_path: Path) -> None:
    canary, since = f"{CANARY}-controller", time.time() - 1
    (tmp_path / "canary").write_text(canary)
    found = sweep(ground, {canary}, Trace(output=canary.encode()), since)
    assert found == ["the output", f"controller: {tmp_path / 'canary'}"]
