# SPDX-License-Identifier: MIT
"""The situations that modules are killed in: for each daemon its states on a host, and the calls that lead there."""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fault.kills.calls import Call

# Of each way, so many points in all: with every way of every daemon, more than a thousand.
POINTS = 24
ROWS = ("users", "keys", "migrations", "nodes")
KEY = "/run/kills/key"
# Until tailscaled has settled.
NEEDS_LOGIN = "timeout 20 sh -c \"until tailscale status | grep -q 'Logged out'; do sleep 0.1; done\" 2>/dev/null"
LOG_OUT = f"timeout 20 tailscale logout; {NEEDS_LOGIN}"
FORGET = f"""
systemctl stop tailscaled
find /var/lib/tailscale -mindepth 1 -delete
systemctl start tailscaled
{NEEDS_LOGIN}
"""


@dataclasses.dataclass
class Job:
    """What the agent on one host is told, see agent.py. ``state`` is where the host is, ``finish`` where it ends."""

    name: str
    state: str
    finish: str
    calls: dict[str, Call]
    ways: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    units: list[str] = dataclasses.field(default_factory=list)
    enter: list[str] = dataclasses.field(default_factory=list)
    uploads: dict[str, str] = dataclasses.field(default_factory=dict)
    rows: list[str] = dataclasses.field(default_factory=list)
    kept: list[str] = dataclasses.field(default_factory=list)
    node: bool = False
    tunnel: bool = False
    reach: str = ""  # an address in the mesh that must answer

    def way(self, what: str, start: str, end: str, call: str, *, keeps: bool = True, **more: t.Any) -> None:
        """A way that a module goes, which is killed there; more: see Way in agent.py."""
        way = {"name": f"{self.name}: {what}", "start": start, "end": end, "call": call, "keeps": keeps}
        self.ways.append(way | more)

    def script(self, start: str, end: str, script: str) -> None:
        """A way back that no module goes."""
        self.ways.append({"name": f"{self.name}: to {end}", "start": start, "end": end, "script": script})

    def told(self, share: float, seed: str) -> dict[str, t.Any]:
        said = dataclasses.asdict(self)
        del said["calls"]
        return said | {"share": share, "seed": seed, "points": POINTS}


def changing(call: Call, edit: Callable[[Call], Call], other: dict[str, str], *, node: bool = False) -> Job:
    """A daemon that is there, changes its configuration and its program, goes and comes back; its data stay."""
    calls = {"A": call, "B": edit(call), "kept": call.with_arguments(state="absent", remove_data=False)}
    job = Job(call.name, "A", "A", calls, units=call.units, enter=["kept", "A"], node=node, kept=list(ROWS))
    job.way("configuration", "A", "B", "B")
    job.way("configuration back", "B", "A", "A")
    if other:
        calls["P"] = call.with_programs(other)
        job.way("program", "A", "P", "P")
        job.way("program back", "P", "A", "A")
    job.way("removal", "A", "kept", "kept")
    job.way("return", "kept", "A", "A")
    return job


def coming(call: Call, state: str) -> Job:
    """A daemon that is installed on a bare host, and removed with its data."""
    calls = {"new": call, "none": call.with_arguments(state="absent", remove_data=True)}
    job = Job(f"{call.name} anew", "none", state, calls, units=call.units, enter=["none"])
    job.way("first converge", "none", "new", "new", keeps=False)
    job.way("removal with data", "new", "none", "none", keeps=False)
    return job


def joining(call: Call) -> Job:
    """A node that joins, changes its preferences, and is started again."""
    call = call.with_arguments(key_file=KEY)
    other = call.with_arguments(accept_routes=True, advertise_routes=["10.9.0.0/16"])
    job = Job(call.module, "in", "in", {"A": call, "B": other}, enter=["A"], node=True, uploads={KEY: f"{KEY}.kept"})
    job.units = ["tailscaled.service"]
    job.way("preferences", "in", "other", "B")
    job.way("preferences back", "other", "in", "A")
    job.script("in", "down", "timeout 20 tailscale down")
    job.way("up", "down", "in", "A")
    job.script("in", "out", LOG_OUT)
    job.way("join again", "out", "in", "A", keeps=False)
    job.script("in", "bare", FORGET)
    job.way("first join", "bare", "in", "A", keeps=False)
    return job


def policy(call: Call) -> Job:
    """Another policy, whose tests would want the grant that it lacks, and one that is set without an API key yet."""
    arguments = call.arguments["policy"]
    other = call.with_arguments(policy=arguments | {"grants": arguments["grants"][1:], "tests": []})
    job = Job(call.module, "A", "A", {"A": call, "B": other}, rows=["policy"], kept=["users", "migrations"])
    job.units = ["headscale.service"]
    job.way("policy", "A", "B", "B")
    job.way("policy back", "B", "A", "A")
    job.script("B", "keyless", "rm /var/lib/wonder-mesh/headscale/api_key.json")
    job.way("policy without a key", "keyless", "A", "A", keeps=False)
    return job


def registry(call: Call, name: str) -> Job:
    """A node whose tags and routes are others."""
    (node,) = (each for each in call.arguments["nodes"] if each["name"] == name)
    assert len(node["tags"]) > 1, f"{name} has no tag that could go"
    other = node | {"tags": node["tags"][1:], "routes": ["10.9.0.0/16"]}
    calls = {"A": call.with_arguments(nodes=[node]), "B": call.with_arguments(nodes=[other])}
    job = Job(call.module, "A", "A", calls, rows=["tags of vps"], kept=["users", "keys", "migrations"])
    job.units = ["headscale.service"]
    job.way("tags", "A", "B", "B")
    job.way("tags back", "B", "A", "A")
    return job
