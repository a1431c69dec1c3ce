# SPDX-License-Identifier: MIT
"""All kills of modules in one mesh, and what is counted of them."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from tests.fault.ground import moved, restored
from tests.fault.kills import jobs, judge
from tests.fault.kills.world import World

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fault.ground import Ground
    from tests.fault.kills.calls import Call
    from tests.fault.kills.jobs import Job

CLEAN = """
for id in $(headscale nodes list --output json | python3 -c '
import json, sys
print(*(each["id"] for each in json.load(sys.stdin) if not each.get("online")))'); do
    headscale nodes delete --force --identifier $id
done
"""
EDITS: dict[str, Callable[[Call], Call]] = {
    "headscale": lambda call: call.with_content("/etc/headscale/config.yaml", "format: text", "format: json"),
    "caddy": lambda call: call.with_content("/etc/caddy/caddy.json", "{\n", "{\n\n"),
    "tailscaled": lambda call: call.with_content("/etc/systemd/system/tailscaled.service", "=41641", "=41642"),
    "mesh-probe": lambda call: call.with_content("/etc/systemd/system/mesh-probe.socket", "Backlog=64", "Backlog=65"),
}
# What is wrong after a kill, by what its line begins with. The first that fits.
KINDS = {
    "lost keys or databases": ("lost: ", "made anew: ", "rows ", "sound"),
    "daemons down": ("unit ",),
    "hosts out of reach": ("ssh", "mesh"),
    "leftovers": ("transient units", "mounts", "file /run/", "file /tmp/", "file /var/lib/wonder-mesh", "file /root"),
    "failed runs": ("status ",),
    "other differences": ("",),
}


@dataclasses.dataclass(frozen=True)
class Told:
    """What the agents said, and how the mesh is not what it was before."""

    said: list[dict[str, t.Any]]
    moved: list[str]

    def lines(self, *kinds: str) -> list[dict[str, t.Any]]:
        return [each for each in self.said if each["kind"] in kinds]

    @property
    def most(self) -> int:
        """How many points there would be with the whole share."""
        return sum(each["most"] for each in self.lines("way"))

    @property
    def chosen(self) -> int:
        return sum(each["points"] for each in self.lines("way"))

    @property
    def wrong(self) -> list[str]:
        return [_shown(each, what) for each in self.lines("point") for what in each["wrong"]]

    @property
    def torn(self) -> list[str]:
        return [_shown(each, what) for each in self.lines("point") for what in each["torn"]]

    def summary(self) -> str:
        points = self.lines("point")
        counts = dict.fromkeys(KINDS, 0)
        for what in (what for each in points for what in each["wrong"]):
            counts[next(kind for kind, starts in KINDS.items() if what.startswith(starts))] += 1
        found = ", ".join(f"{number} {kind}" for kind, number in counts.items())
        down = sum(bool(each["down"]) for each in points)
        return (
            f"kills: {self.chosen} points, {len(points)} killed, {len(self.torn)} torn files, and after one more run "
            f"{found}; {down} times a daemon was down until that run"
        )


def kill_modules(ground: Ground, share: float, seed: str) -> Told:
    """Provision, kill in all situations, and provision once more."""
    world = World(ground)
    calls = world.record()
    before = ground.look()
    said = world.kill(_daemons(world, calls), share, seed)
    _mint(ground, world, calls)
    said += world.kill(_members(calls), share, seed)
    ground.run("vps", CLEAN)
    ground.play()
    return Told(said, moved(_machines(before), _machines(ground.look())))


def _daemons(world: World, calls: dict[str, dict[str, Call]]) -> dict[str, list[Job]]:
    """Each host has its own daemons; all of the server's are also installed and removed beside the mesh."""

    def change(host: str, name: str, *, node: bool = False) -> Job:
        call = calls[host][name]
        return jobs.changing(call, EDITS[name], world.other_builds(host, call), node=node)

    server = calls["vps"]
    for name in ("headscale", "caddy"):
        world.hand_over(server[name], "vps", "spare")
    return {
        "vps": [change("vps", "headscale"), change("vps", "caddy")],
        "spare": [jobs.coming(server[name], "none") for name in ("headscale", "caddy")],
        "box-1": [change("box-1", "tailscaled", node=True), change("box-1", "mesh-probe")],
        "box-2": [
            change("box-2", "tailscaled", node=True),
            *(jobs.coming(calls["box-2"][name], "new") for name in ("mesh-probe", "tailscaled")),
        ],
    }


def _members(calls: dict[str, dict[str, Call]]) -> dict[str, list[Job]]:
    """While nobody changes Headscale itself, nodes join, and it is told of policies and tags."""
    server = calls["vps"]
    return {
        "vps": [jobs.policy(server["headscale_policy"]), jobs.registry(server["headscale_node"], "vps")],
        "box-1": [jobs.joining(calls["box-1"]["tailscale_node"])],
        "box-2": [jobs.joining(calls["box-2"]["tailscale_node"])],
    }


def _mint(ground: Ground, world: World, calls: dict[str, dict[str, Call]]) -> None:
    """Let each box have a key that it may use again and again."""
    for host in ("box-1", "box-2"):
        tags = ",".join(calls[host]["tailscale_node"].arguments["tags"])
        command = f"headscale preauthkeys create --reusable --expiration 24h --tags {tags} --output json"
        world.keep(host, f"{jobs.KEY}.kept", json.loads(ground.run("vps", command))["key"])


def _machines(looks: dict[str, dict[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
    """Without what nodes have from their new keys: addresses, and files that are named by them."""
    kept = {host: {kind: look[kind] for kind in ("files", "units")} for host, look in restored(looks).items()}
    for look in kept.values():
        for path in [each for each in look["files"] if "mesh-probe.socket" in each or judge.is_residue(each)]:
            del look["files"][path]
    return kept


def _shown(point: dict[str, t.Any], what: str) -> str:
    way, event = point["way"], f"{point['event']} ({point['occurrence']}, {point['who']})"
    return f"{point['host']}: {way}: killed before {event}: {what}"
