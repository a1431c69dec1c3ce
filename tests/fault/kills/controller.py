# SPDX-License-Identifier: MIT
"""Controllers killed at the boundaries of tasks: from one state of a mesh to another, and back."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import random
import sys
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs
from tests.fault.ground import ROLES, moved, restored
from tests.fault.kills import judge

if t.TYPE_CHECKING:
    from pathlib import Path

    from tests.fault.ground import Ground, Looks

KILLED = -9
PREFERENCES = ("ControlURL", "CorpDNS", "Hostname", "RouteAll", "WantRunning")
CALLBACKS = "truth_events,kill_controller"
REMOVAL = ["playbooks/remove.yml"]
SOCKET = "mesh-probe.socket"
DATA = '{"mesh_remove_data": true}'


class Direction(t.NamedTuple):
    """A run that changes a mesh."""

    name: str
    playbooks: list[str]
    variables: str = "{}"
    arguments: tuple[str, ...] = ()


@dataclasses.dataclass
class Controllers:
    """What was found: points, those at which a controller died, and what one more run did not bring back."""

    points: int = 0
    killed: int = 0
    wrong: list[str] = dataclasses.field(default_factory=list)

    def summary(self) -> str:
        wrong = len(self.wrong)
        return (
            f"kills of controllers: {self.points} points, {self.killed} killed, {wrong} differences after one more run"
        )


class Killer:
    """One mesh, and its controllers."""

    most = sys.maxsize  # points of a direction

    def __init__(self, ground: Ground, work: Path, share: float, seed: str) -> None:
        self._ground = ground
        self._work = work
        self._rng = random.Random(f"{seed} controllers")  # noqa: S311
        self._share = share
        self._anew = False
        self._found = Controllers()

    def run(self) -> Controllers:
        """Kill in pairs of directions that lead there and back. A point costs two runs of Ansible, as much as ten kills
        of a module; so a share is that share of the boundaries of some pairs, and at least of one."""
        pairs, bare = self.pairs(), True
        for there, back in self._rng.sample(pairs, max(1, round(self._share * len(pairs)))):
            if bare != (there.name == "converge"):
                self._undisturbed(Direction("converge", ROLES) if bare else Direction("removal", REMOVAL, DATA))
                bare = not bare
            self._pair(there, back)
        return self._found

    def pairs(self) -> list[tuple[Direction, Direction]]:
        """The first of them leads from bare hosts to a mesh, and back."""
        configuration = {"headscale_log_level": "debug", "tailscaled_port": 41642, "caddy_acme_email": "a@wm.test"}
        grant = {"from": ["box"], "to": ["hub"], "ports": ["tcp:9"]}
        changes = {
            "configuration": configuration,
            "program": {f"{role}_program_source": self._source(role) for role in ("headscale", "caddy")},
            "policy": {"mesh_grants": [grant]},
        }
        return [
            (Direction("converge", ROLES), Direction("removal", REMOVAL, DATA)),
            *(
                (Direction(name, ROLES, json.dumps(variables)), Direction(f"{name} back", ROLES))
                for name, variables in changes.items()
            ),
        ]

    def _source(self, name: str) -> dict[str, t.Any]:
        """The program as a file of other bytes that do the same."""
        archive = _programs.find(name).build("amd64", print)[name].archive
        content = gzip.decompress(archive.read_bytes()) + b"\n"  # what follows an ELF file is not read
        path = self._work / name
        path.write_bytes(content)
        return {"amd64": {name: {"file": str(path), "sha256": hashlib.sha256(content).hexdigest()}}}

    def _pair(self, there: Direction, back: Direction) -> None:
        self._anew = there.name == "converge"
        here = self.look()
        boundaries = {there.name: self._undisturbed(there)}
        wanted = {there.name: self.look()}
        boundaries[back.name] = self._undisturbed(back)
        wanted[back.name] = self.look()
        self._compare(f"{there.name} and back, undisturbed", here, wanted[back.name])
        points = {name: self._boundaries(number) for name, number in boundaries.items()}
        while any(points.values()):
            for direction in (there, back):
                if points[direction.name]:
                    self._point(direction, points[direction.name].pop(), wanted[direction.name])
                else:
                    self._undisturbed(direction)

    def _boundaries(self, number: int) -> list[int]:
        """Those of all boundaries that the share means, in no order."""
        wanted = number if self._share >= 1 else max(1, round(number * self._share))
        wanted = min(wanted, self.most)
        return self._rng.sample(range(1, number + 1), wanted)

    def _point(self, direction: Direction, boundary: int, wanted: Looks) -> None:
        self._found.points += 1
        status = self._run(direction, boundary)
        self._found.killed += status == KILLED
        self._undisturbed(direction)
        self._compare(f"{direction.name}: killed at boundary {boundary}", wanted, self.look())

    def _compare(self, what: str, wanted: Looks, found: Looks) -> None:
        self._found.wrong += [f"{what}: {each}" for each in moved(wanted, found)]

    def _undisturbed(self, direction: Direction) -> int:
        """The number of its boundaries."""
        status = self._run(direction, 0)
        if status != 0:
            self._found.wrong.append(f"{direction.name}: status {status}")
        return int((self._work / "count").read_text(encoding="ascii"))

    def _run(self, direction: Direction, boundary: int) -> int:
        environment = {
            "ANSIBLE_CALLBACKS_ENABLED": CALLBACKS,
            "KILL_AT": str(boundary),
            "KILL_COUNT": str(self._work / "count"),
        }
        arguments = ["--extra-vars", direction.variables, *direction.arguments]
        status, _ = self._ground.play_loudly(*arguments, playbooks=direction.playbooks, environment=environment)
        return status

    def look(self) -> Looks:
        """What a run must bring back. In a mesh that is made anew, keys are others, and addresses are given in turn."""
        looks = restored(self._ground.look())
        for look in looks.values():
            look["files"] = {path: seen for path, seen in look["files"].items() if not judge.is_residue(path)}
            if self._anew:
                look["files"] = {path: seen for path, seen in look["files"].items() if SOCKET not in path}
                look["nodes"] = sorted((node["given_name"], sorted(node.get("tags") or [])) for node in look["nodes"])
                look["preferences"] = {name: look["preferences"].get(name) for name in PREFERENCES}
        return looks
