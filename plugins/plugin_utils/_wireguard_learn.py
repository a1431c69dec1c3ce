# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""What a run learns of the nodes of a WireGuard mesh by looking at them, merged with what was known."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._model import Outcome, build_model
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_registry import (
    Registry,
    RegistryError,
    check_keys,
    check_registry,
)

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model


@dataclasses.dataclass(frozen=True)
class Look:
    """What a node showed: its public key, "" if it has none yet, why it has no usable one, and its registry's text."""

    public_key: str = ""
    error: str = ""
    registry: str = ""
    tailscale: bool = False  # whether it has Tailscale besides
    obstacles: tuple[str, ...] = ()  # chains of nftables that drop what it forwards


@dataclasses.dataclass(frozen=True)
class Learnt:
    """The registry and the model with all that is known now, or problems; and warnings in both cases."""

    registry: Registry
    outcome: Outcome
    warnings: list[str]
    is_established: bool = False  # whether a run before this one has made keys


def learn(inventory: Inventory, known: Registry, looks: Mapping[str, Look], *, foretold: bool = False) -> Learnt:
    """looks: of the nodes that the run has called. foretold: in a check, a node without a key gets one to come."""
    problems, warnings = Problems(), []
    merged = known
    for name, look in sorted(looks.items()):
        try:
            merged = merged.merge(Registry.parse(look.registry))
        except RegistryError as exc:
            warnings.append(f"{name}: the copy of the registry there is left out, and will be written anew: {exc}")
        if look.error:
            problems.lines.append(f"{name}: wireguard key: {look.error}")
    found = {name: look.public_key for name, look in looks.items() if look.public_key}
    if foretold:
        found |= {name: key_to_come(name) for name, look in looks.items() if not look.public_key and not look.error}
    is_established = any(entry.public_key for entries in merged.nodes.values() for entry in entries)
    check_registry(merged, problems)
    check_keys(merged, found, problems)
    if problems.lines:
        return Learnt(known, Outcome(None, problems.lines, []), warnings)
    for name, key in sorted(found.items()):
        entry = merged.get(name)
        merged = merged.record(name, entry.addresses if entry else (), key)
    outcome = build_model(inventory, None, merged, [name for name, look in looks.items() if look.tailscale])
    if outcome.model is not None:
        for name, node in outcome.model["wireguard"]["nodes"].items():
            merged = merged.record(name, node["addresses"], node["public_key"])
        warnings += _obstacles(outcome.model, looks)
    return Learnt(merged, outcome, warnings, is_established)


def _obstacles(model: Model, looks: Mapping[str, Look]) -> Iterator[str]:
    """Of hosts that must forward, the firewalls that drop it. Whether they do is for the proof to say."""
    mesh = model["wireguard"]
    for name, look in sorted(looks.items()):
        is_hub = name in mesh["hubs"] and mesh["topology"] != "full"
        if look.obstacles and (is_hub or mesh["nodes"][name]["routes"]):
            interface = model["hosts"][name]["interface"]
            yield (
                f"{name}: its firewall drops by default what the host forwards ({', '.join(look.obstacles)}) and says "
                f"nothing of {interface}, so that nodes may not reach what they reach through {name}. Let pass there "
                f"what comes in or goes out by {interface}; the mesh's own rules say what may. With Docker: iptables "
                f"-I DOCKER-USER -i {interface} -j ACCEPT, and once more with -o"
            )


def key_to_come(name: str) -> str:
    """What stands for the key that a check cannot make, so that it foretells who gets a peer."""
    return base64.b64encode(hashlib.sha256(f"the key of {name} to come".encode()).digest()).decode()
