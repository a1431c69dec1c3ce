# SPDX-License-Identifier: MIT
"""`./demo.sh up` and `./demo.sh status`, once there is a Python environment: programs, fleet, play, proof.

demo.sh calls `python -m fleet.demo up|status`; everything else is `python -m fleet`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import typing as t

from fleet import FleetError, provider, topology
from fleet.__main__ import guarded, inventory_of
from fleet.console import Console
from fleet.shell import follow, tied
from fleet.state import CHECKOUT, locked

if t.TYPE_CHECKING:
    from pathlib import Path

    from fleet.state import State

BUILD_PATIENCE = 3600.0  # seconds for all programs, from nothing, on two busy cores
PLAY_PATIENCE = 1800.0  # seconds for a play
STOP_PATIENCE = 20.0  # seconds in which an interrupted play ends itself
STARTED = "WONDER_MESH_STARTED"  # when demo.sh began, seconds since the epoch
PROOF = (
    ("paths", "pairs of nodes talk as predicted"),
    ("services", "services answer"),
    ("refusals", "forbidden connections refused"),
)


def main(argv: list[str]) -> int:
    """Do what demo.sh asks; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m fleet.demo")
    parser.add_argument("verb", choices=["up", "status"])
    parser.add_argument("--provider", default="nspawn")
    parser.add_argument("--topology", default="demo")
    parser.add_argument("--json", action="store_true", help="status: print result.json and nothing else on stdout")
    arguments = parser.parse_args(argv)
    if arguments.verb == "up":
        return up(arguments.provider, arguments.topology)
    return status(provider.state(arguments.provider, arguments.topology), arguments.json)


def up(maker: str, name: str) -> int:
    """From nothing, or from wherever the last run stopped, to the proof."""
    started = float(os.environ.get(STARTED, time.time()))
    console, chosen, state = Console(), provider.load(maker), provider.state(maker, name)
    with locked(state):
        world = topology.load(name, chosen.NAT_KINDS)
        with console.step("Programs (headscale, tailscale, caddy)") as progress:
            build = [sys.executable, "tools/programs.py"]
            follow(*build, progress=progress, timeout=BUILD_PATIENCE, cwd=CHECKOUT)
        chosen.up(world, state, console)
        before = _stamp(state)
        console.say("Provisioning and proving it: ansible-playbook site.yml")
        code = play("site.yml", state)
        fresh = _stamp(state) != before
        if fresh:
            _summary(console, state)
        word = "Done" if code == 0 else "Failed"
        console.say(f"{word} after {time.time() - started:.0f} s; the fleet keeps running.")
        _next_steps(console, maker, name)
        return code


def status(state: State, as_json: bool) -> int:
    """The proof, measured anew."""
    console = Console()
    inventory_of(state)
    before = _stamp(state)
    code = play("playbooks/verify.yml", state, quiet=as_json)
    if _stamp(state) == before:
        raise FleetError("the proof ended before it wrote its result; see above")
    if as_json:
        print(_result(state).read_text(encoding="utf-8"), end="")
    else:
        _summary(console, state)
    return code


def play(playbook: str, state: State, *, quiet: bool = False) -> int:
    """Run a playbook on the fleet; it ends when we do. Its output is ours, or with `quiet` goes to stderr."""
    program = os.path.join(os.path.dirname(sys.executable), "ansible-playbook")
    command = [*tied(), program, "--inventory", str(state.inventory), playbook]
    shown = {"ANSIBLE_STDOUT_CALLBACK": "wonder.mesh.progress"}
    environment = {"ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), **shown, **os.environ}
    with subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=sys.stderr if quiet else None) as process:
        try:
            return process.wait(PLAY_PATIENCE)
        except subprocess.TimeoutExpired:
            raise FleetError(f"{playbook}: not done after {PLAY_PATIENCE:.0f} s") from None
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a play that still runs."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_PATIENCE)
        process.kill()


def _result(state: State) -> Path:
    return state.inventory.with_name("result.json")


def _stamp(state: State) -> tuple[int, int] | None:
    """What changes when the result is written anew."""
    try:
        found = _result(state).stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def _summary(console: Console, state: State) -> None:
    result = json.loads(_result(state).read_text(encoding="utf-8"))
    console.say(f"Proof: {'every promise is kept' if result['ok'] else 'BROKEN'}")
    for key, words in PROOF:
        rows = result[key]
        console.say(f"  {sum(row['ok'] is True for row in rows)} of {len(rows)} {words}")
    for problem in result.get("problems", []):
        console.say(f"  broken: {problem}")
    console.say(f"  all of it: {_result(state)}")


def _next_steps(console: Console, maker: str, name: str) -> None:
    option = "" if maker == provider.usual() else f" --provider {maker}"
    option += "" if name == provider.TOPOLOGIES[maker] else f" --topology {name}"
    console.say("Next:")
    for verb, words in (
        ("status", "the proof, measured anew (--json for programs)"),
        ("ssh NAME", "a shell on a host"),
        ("inventory", "the path of the inventory, for ansible-playbook -i"),
        ("down", "remove the fleet; nothing stays"),
    ):
        console.say(f"  ./demo.sh {verb + option:{9 + len(option)}}  {words}")


if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
