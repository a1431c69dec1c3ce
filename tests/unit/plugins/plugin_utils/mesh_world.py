# SPDX-License-Identifier: MIT

"""A small mesh for tests: its inventory, the world around it, and hosts that measure what a policy would let them."""

from __future__ import annotations

import copy
import datetime
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
from ansible_collections.wonder.mesh.plugins.plugin_utils._model import Outcome, build_model
from ansible_collections.wonder.mesh.plugins.plugin_utils._paths import predict
from ansible_collections.wonder.mesh.plugins.plugin_utils._permissions import permission
from ansible_collections.wonder.mesh.plugins.plugin_utils._plan import plan, strangers
from ansible_collections.wonder.mesh.plugins.plugin_utils._world import World

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model

NOW = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)
HELLO = {"name": "hello", "port": 8000, "host": "hello.example.com"}
GROUPS = {
    "coordinator": ["hub"],
    "gateways": ["edge"],
    "relays": [],
    "nodes": ["edge", "mini-1", "mini-2", "nas", "laptop"],
    "strangers": ["stranger"],
}
HOSTS: dict[str, dict[str, t.Any]] = {
    "hub": {"mesh_public_address": "hub.example.com", "ansible_host": "203.0.113.10"},
    "edge": {"mesh_public_address": "203.0.113.11"},
    "mini-1": {"mesh_home": "attic", "mesh_nat": "easy", "mesh_services": [HELLO]},
    "mini-2": {"mesh_home": "attic", "mesh_nat": "easy", "tailscaled_tun": False, "mesh_services": [HELLO]},
    "nas": {"mesh_home": "cabin", "mesh_nat": "hard"},
    "laptop": {"mesh_home": "office", "mesh_nat": "udp-blocked"},
    "stranger": {"mesh_public_address": "203.0.113.12"},
}
EVERYWHERE = {"mesh_domain": "mesh.example.com", "mesh_admins": ["laptop", "alice@example.com"]}
RECORDS = {"hub.example.com": ["203.0.113.10"], "hello.example.com": ["203.0.113.11"]}


def resolver(records: dict[str, list[str]]) -> Callable[[Sequence[str]], dict[str, list[str]]]:
    return lambda names: {name: records.get(name, []) for name in names}


def read_file(path: str) -> bytes:
    raise FileNotFoundError(2, "No such file or directory", path)


def world(records: dict[str, list[str]] | None = None, read: Callable[[str], bytes] = read_file) -> World:
    resolve = resolver(RECORDS if records is None else records)
    return World(
        read,
        lambda path: "there is no directory nowhere" if path.startswith("/nowhere/") else "",
        resolve,
        lambda _: "1.2.3",
        lambda name: ["tailscale", "tailscaled"] if name == "tailscale" else [name],
        NOW,
    )


def build(
    hosts: dict[str, dict[str, t.Any]] | None = None,
    groups: dict[str, list[str]] | None = None,
    everywhere: dict[str, t.Any] | None = None,
    around: World | None = None,
) -> Outcome:
    """The demo's inventory with these variables over its own; None takes a variable away."""
    merged = {
        host: {**EVERYWHERE, **(everywhere or {}), **HOSTS.get(host, {}), **(hosts or {}).get(host, {})}
        for host in {**HOSTS, **(hosts or {})}
    }
    inventory = {host: {k: v for k, v in each.items() if v is not None} for host, each in merged.items()}
    return build_model(Inventory.of({**GROUPS, **(groups or {})}, inventory), around or world())


def model(**changes: t.Any) -> Model:
    outcome = build(**changes)
    assert outcome.model is not None, outcome.problems
    return outcome.model


def measure(mesh: Model, wide_open: bool = False) -> dict[str, dict[str, t.Any]]:
    """What every host of a healthy mesh measures; with wide_open, of one whose policy allows everything."""
    return {name: measure_one(mesh, name, wide_open) for name in [*mesh["nodes"], *strangers(mesh)]}


def measure_one(mesh: Model, name: str, wide_open: bool = False) -> dict[str, t.Any]:
    wanted = plan(mesh, name)
    return {
        "changed": False,
        "node": {"addresses": [f"100.64.0.{mesh['nodes'].index(name) + 1}"], "dns": "", "state": "Running"}
        if wanted["member"]
        else None,
        "peers": [
            {
                "name": peer["name"], "address": "100.64.0.9", "carried": True, "sent": 1048576, "received": 1048576,
                "latency_ms": 3.25, "path": predict(mesh["hosts"][name], mesh["hosts"][peer["name"]], {}),
                "endpoint": "", "error": "",
            }
            for peer in wanted["peers"]
        ],
        "connections": [
            {**each, "outcome": "open", "error": ""}
            if wide_open or permission(mesh, name, each["to"], each["port"])
            else {**each, "outcome": "silent", "error": "timed out"}
            for each in wanted["connections"]
        ],
        "answers": [{"port": port, "open": True} for port in wanted["answers"]],
        "urls": [
            {**each, "status": 404 if closed(each["url"]) else 200, "location": "", "ms": 5.0, "error": ""}
            for each in wanted["urls"]
        ],
        "ports": [{**each, "open": each["port"] not in (8080, 9090), "error": ""} for each in wanted["ports"]],
        "streams": [{**each, "open": True, "certificate": "", "error": ""} for each in wanted["streams"]],
        "mappings": [{**each, "seen": "", "error": ""} for each in wanted["stun"]],
    }  # fmt: skip


def closed(url: str) -> bool:
    return url.endswith(("/api/v1/node", "/metrics", "/swagger"))


def changed(measured: dict[str, t.Any], *path: t.Any, value: t.Any) -> dict[str, t.Any]:
    """A copy in which the thing at the end of the path is another."""
    copied = copy.deepcopy(measured)
    place: t.Any = copied
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return copied
