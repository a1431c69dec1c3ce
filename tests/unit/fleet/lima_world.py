# SPDX-License-Identifier: MIT
"""A person's virtual machines, all of them pretended: a program in limactl's place, and one in that of ssh.

What the former tells of a machine is what limactl 2.2.0 told of one: recorded.jsonl has lines of `limactl list --format
json`, of two machines that ran in ./test.sh lima, and of four that it made and somebody damaged. Of their configuration
they have lost what nobody reads, and their directory is called /srv/lima.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from fleet import lima, topology
from fleet.console import Console
from fleet.state import State

HERE = Path(__file__).parent
LINES = {each["name"]: each for each in map(json.loads, (HERE / "recorded.jsonl").read_text().splitlines())}
MAC = str(Path(__file__).parents[3] / "lima" / "topologies" / "mac.yml")
NAMES = ["coordinator", "gateway", "manager", "worker-1", "worker-2"]
PROGRAM = """
import os, sys
from pathlib import Path
from fleet import __main__, limactl, provider
from fleet.state import State
from tests.fault.killed_fleet import Steps
place, verb, topology, last = sys.argv[1:]
os.geteuid, limactl.SOCKET = (lambda: 1000), 1000
provider.state = lambda *_: State("wm123abc", Path(place))
if int(last) >= 0:
    sys.addaudithook(Steps("", int(last)).see)
sys.exit(__main__.guarded(__main__.main, [verb, "--provider", "lima", "--topology", topology]))
"""
SSH = """\
#!/bin/bash
# ssh -F CONFIG NAME COMMAND...
name=$3 command="${*:4}"
echo "$name: $command" >>"$FAKE_CALLS"
case $command in
    *"ip -4"*) [ ! -e "$FAKE_CALLS.boots" ] || { rm "$FAKE_CALLS.boots"; exit 255; }
        printf '%s\\n' "1: lo inet 127.0.0.1/8 scope host lo" "2: eth0 inet 192.168.104.$((10 + ${#name}))/24 eth0" ;;
    "sudo tar "*) tar --list >"$FAKE_CALLS.$name" ;;
esac
"""


class World:
    """The machines of a person, all of them pretended."""

    def __init__(self, place: Path) -> None:
        self.place, self.state = place, State("wm123abc", place / "s")
        self.lima = self.state.path / "lima"
        self.topology = topology.load(MAC, lima.NAT_KINDS)

    def up(self) -> bool:
        return lima.up(self.topology, self.state, Console())

    def calls(self) -> list[str]:
        """What was called since the last time, less what only asks."""
        file = Path(os.environ["FAKE_CALLS"])
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return [line for line in lines if not line.startswith(("list", "--version"))]

    def machine(self, name: str, like: str) -> None:
        """Let limactl tell of a machine what it told of one of the recorded ones."""
        line = self.lima / name / "line"
        line.parent.mkdir(parents=True, exist_ok=True)
        line.write_text(json.dumps(LINES[like] | {"name": name, "dir": str(line.parent)}))
        if like != "half":
            (line.parent / "lima.yaml").touch()

    def left(self) -> list[str]:
        """The machines that there are."""
        return sorted(path.name for path in self.lima.glob("[!_]*"))


def started(calls: list[str]) -> list[str]:
    """The machines that are made by these calls."""
    return sorted(call.split("--name=")[1].split()[0] for call in calls if "--name=" in call)


def program(world: World, verb: str, last: int = -1) -> list[str]:
    """The command line of a program of its own that does this; it is killed before that step (see killed_fleet.py)."""
    return [sys.executable, "-c", PROGRAM, str(world.place / "root"), verb, MAC, str(last)]
