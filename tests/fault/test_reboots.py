# SPDX-License-Identifier: MIT
"""Nobody runs anything: all hosts reboot and the mesh is back, or its coordinator is away for long and nothing ends."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

from tests.fault.conftest import SHARE

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fault.ground import Ground
    from tests.fault.rounds import Bare

COORDINATOR = "vps"
GREEN_SECONDS = 60  # from the last reboot to the proof
AWAY_SECONDS = 600 if SHARE >= 1 else 60
PATIENCE = 180  # for what has its own limit, or none
PROBE_PORT, PROXY_PORT = 7733, 1055
# Seconds that an answer may take. Without its coordinator, a node without a TUN device whose endpoints change takes new
# connections only once its next attempt to reach the coordinator has failed (1.102), up to half a minute later.
ANSWER_SECONDS, LATE_SECONDS = 5, 40
PAIRS = Path(__file__).with_name("pairs.py")
# A node: its key and its addresses; its daemon's process and how often systemd has restarted it; and this boot.
REBOOT = "setsid sh -c 'sleep 0.2; systemctl reboot' >/dev/null 2>&1 &"  # this connection ends first
BOOT = "cat /proc/sys/kernel/random/boot_id"
LOOK = f"""
tailscale status --json --peers=false | python3 -c '
import json, sys
status = json.load(sys.stdin)
print(json.dumps([status["Self"]["PublicKey"], status["TailscaleIPs"]]))'
systemctl show --property=MainPID,NRestarts --value tailscaled.service | paste --serial
{BOOT}
"""


class Node(t.NamedTuple):
    identity: str
    process: str
    boot: str


class Proof(t.NamedTuple):
    """The last one: its promises that are not kept, and how long it took until then, in seconds."""

    problems: list[str]
    seconds: float

    @property
    def summary(self) -> str:
        return f"{'not green' if self.problems else 'green'} after {self.seconds:.0f} s"


@dataclasses.dataclass(frozen=True)
class Story:
    before: dict[str, Node]
    after: dict[str, Node]
    proof: Proof
    pairs: dict[tuple[str, str], dict[str, t.Any]]  # asked, failed, slowest


def look(ground: Ground) -> dict[str, Node]:
    said = ground.run_all(dict.fromkeys(ground.inventory["all"]["children"]["nodes"]["hosts"], LOOK))
    return {host: Node(*each.splitlines()) for host, each in said.items()}


def await_boots(ground: Ground, before: dict[str, Node], since: float) -> None:
    """Until all hosts answer again, from another boot."""
    waiting = sorted(before)
    while waiting and time.monotonic() < since + PATIENCE:
        time.sleep(0.2)
        with contextlib.suppress(AssertionError):  # it does not answer
            if ground.run(waiting[0], BOOT).strip() != before[waiting[0]].boot:
                waiting.pop(0)
    print(f"all hosts answer after {time.monotonic() - since:.1f} s")


def prove(ground: Ground, file: Path, since: float) -> Proof:
    """Only the proof, again and again until it is green."""
    variables = ["--extra-vars", json.dumps({"mesh_result_file": str(file)})]
    problems = ["there is no proof"]
    while problems and time.monotonic() < since + PATIENCE:
        file.unlink(missing_ok=True)
        status, output = ground.play_loudly(*variables, playbooks=["playbooks/verify.yml"])
        print(f"verify after {time.monotonic() - since:.0f} s: {status}\n{output[-1500:]}")
        problems = json.loads(file.read_text())["problems"] if file.exists() else ["there is no proof"]
        problems = problems or ([] if status == 0 else ["the proof did not end well"])
    return Proof(problems, time.monotonic() - since)


@contextlib.contextmanager
def asking(ground: Ground, nodes: dict[str, Node]) -> Iterator[dict[tuple[str, str], dict[str, t.Any]]]:
    """Meanwhile every node asks every other one; the answers are there at the end."""
    has_tun = {name: ground.inventory["all"]["hosts"][name].get("tailscaled_tun", True) for name in nodes}
    peers = {
        name: (json.loads(node.identity)[1][0], ANSWER_SECONDS if has_tun[name] else LATE_SECONDS)
        for name, node in nodes.items()
    }
    answers: dict[tuple[str, str], dict[str, t.Any]] = {}
    with contextlib.ExitStack() as stack:
        running = {}
        for name in nodes:
            others = {other: peer for other, peer in peers.items() if other != name}
            wanted = {"peers": others, "port": PROBE_PORT, "proxy": 0 if has_tun[name] else PROXY_PORT}
            command = ground.on(name, "python3", "-c", PAIRS.read_text(encoding="utf-8"))
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            running[name] = stack.enter_context(process)
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(wanted) + "\n")
            process.stdin.flush()
            process.stdout.readline()
        yield answers
        for name, process in running.items():
            said = json.loads(process.communicate(timeout=PATIENCE)[0])
            answers.update({(name, other): each for other, each in said.items()})


@pytest.fixture(scope="module")
def rebooted(ground: Ground, bare: Bare, tmp_path_factory: pytest.TempPathFactory, say: Callable[[str], None]) -> Story:
    assert bare.done
    before = look(ground)
    ground.run_all(dict.fromkeys(before, REBOOT))
    since = time.monotonic()
    await_boots(ground, before, since)
    proof = prove(ground, tmp_path_factory.mktemp("rebooted") / "result.json", since)
    say(f"reboots: {len(before)} hosts, {proof.summary}")
    return Story(before, look(ground), proof, {})


@pytest.fixture(scope="module")
def away(ground: Ground, bare: Bare, tmp_path_factory: pytest.TempPathFactory, say: Callable[[str], None]) -> Story:
    assert bare.done
    before = look(ground)
    with asking(ground, before) as pairs:
        ground.run(COORDINATOR, "systemctl stop headscale.service")
        try:
            time.sleep(AWAY_SECONDS)
        finally:
            ground.run(COORDINATOR, "systemctl start headscale.service")
            since = time.monotonic()
    proof = prove(ground, tmp_path_factory.mktemp("away") / "result.json", since)
    asked = sum(each["asked"] for each in pairs.values())
    failed = sum(len(each["failed"]) for each in pairs.values())
    slowest = max(each["slowest"] for each in pairs.values())
    say(
        f"away: {AWAY_SECONDS} s, {asked} connections of {len(pairs)} pairs, {failed} failed, the slowest took "
        f"{slowest:.1f} s; {proof.summary}"
    )
    return Story(before, look(ground), proof, pairs)


def test_every_host_has_booted_anew(rebooted: Story) -> None:
    assert [host for host in rebooted.before if rebooted.before[host].boot == rebooted.after[host].boot] == []


def test_the_proof_is_green_within_a_minute_of_the_last_reboot(rebooted: Story) -> None:
    assert rebooted.proof.problems == []
    assert rebooted.proof.seconds <= GREEN_SECONDS


def test_nodes_are_the_same_after_a_reboot(rebooted: Story) -> None:
    assert identities(rebooted.after) == identities(rebooted.before)


def test_every_pair_carries_tcp_all_the_time_while_the_coordinator_is_away(away: Story) -> None:
    assert set(away.pairs) == set(itertools.permutations(away.before, 2))
    assert {pair: each["failed"] for pair, each in away.pairs.items() if each["failed"]} == {}
    assert min(each["asked"] for each in away.pairs.values()) >= AWAY_SECONDS * 0.8


def test_no_node_changes_or_starts_anew_while_the_coordinator_is_away(away: Story) -> None:
    assert away.after == away.before


def test_the_proof_is_green_once_the_coordinator_is_back(away: Story) -> None:
    assert away.proof.problems == []


def identities(nodes: dict[str, Node]) -> dict[str, str]:
    return {name: node.identity for name, node in nodes.items()}
