# SPDX-License-Identifier: MIT

"""Small WireGuard meshes for tests: their inventories, and what is made of them."""

from __future__ import annotations

import base64
import hashlib
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils import _model
from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_mesh import read_mesh
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_registry import Registry
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_tables import Plan

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model
    from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_types import Mesh

Hosts = dict[str, dict[str, t.Any]]
# Two hubs, and homes of all kinds that all have the same network.
HOSTS: Hosts = {
    "hub-1": {"mesh_public_address": "203.0.113.1", "wireguard_extra_ports": [123]},
    "hub-2": {"mesh_public_address": "hub-2.example.com", "wireguard_extra_ports": [123]},
    "mini-1": {"mesh_home": "attic", "mesh_nat": "easy", "ansible_host": "192.168.1.11"},
    "mini-2": {"mesh_home": "attic", "mesh_nat": "easy", "ansible_host": "192.168.1.12"},
    "nas": {"mesh_home": "cabin", "mesh_nat": "hard", "ansible_host": "192.168.1.11"},
    "laptop": {"mesh_home": "office", "mesh_nat": "udp-blocked", "wireguard_outbound_ports": [123]},
    "van": {"mesh_home": "road", "mesh_nat": "cgnat"},
    "barn": {"mesh_home": "barn", "mesh_nat": "full-cone", "wireguard_endpoints": ["barn.example.net:40001"]},
}
HUBS = ["hub-1", "hub-2"]


def key(name: str) -> str:
    return base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()


def registry(names: t.Iterable[str]) -> Registry:
    """One in which each has a key, and no address yet."""
    known = Registry()
    for name in names:
        known = known.record(name, [], key(name))
    return known


def changed(changes: Hosts | None = None, everywhere: dict[str, t.Any] | None = None) -> Hosts:
    """The hosts above with these variables over their own; None takes one away."""
    names = [*HOSTS, *(name for name in changes or {} if name not in HOSTS)]
    merged = {name: {**(everywhere or {}), **HOSTS.get(name, {}), **(changes or {}).get(name, {})} for name in names}
    return {name: {k: v for k, v in each.items() if v is not None} for name, each in merged.items()}


def read(
    hosts: Hosts, known: Registry | None = None, hubs: t.Sequence[str] = HUBS, tailscale: t.Iterable[str] = ()
) -> tuple[Mesh | None, list[str]]:
    """What is made of the hosts, all of them nodes; hubs: those in the group gateways."""
    problems = Problems()
    inventory = Inventory.of({"nodes": list(hosts), "gateways": [hub for hub in hubs if hub in hosts]}, hosts)
    models = {name: _model._read_host(name, inventory, "mesh.example.com", problems) for name in hosts}
    mesh = read_mesh(inventory, models, registry(hosts) if known is None else known, problems, tailscale)
    return (None if problems.lines else mesh), problems.lines


def model(
    changes: Hosts | None = None, everywhere: dict[str, t.Any] | None = None, known: Registry | None = None
) -> Model:
    """The whole model of the hosts, with the default domain and the hubs as gateways."""
    hosts = changed(changes, {"mesh_backend": "wireguard", "mesh_domain": "mesh.example.com", **(everywhere or {})})
    inventory = Inventory.of({"nodes": list(hosts), "gateways": HUBS}, hosts)
    outcome = _model.build_model(inventory, None, registry(hosts) if known is None else known)
    assert outcome.model is not None, outcome.problems
    return outcome.model


def mesh(
    changes: Hosts | None = None, everywhere: dict[str, t.Any] | None = None, known: Registry | None = None
) -> Mesh:
    found, problems = read(changed(changes, everywhere), known)
    assert found is not None, problems
    return found


def tables(wanted: Mesh) -> dict[str, t.Any]:
    return {table["name"]: table for table in Plan(wanted).tables()}


def mistakes(
    changes: Hosts | None = None,
    everywhere: dict[str, t.Any] | None = None,
    known: Registry | None = None,
    tailscale: t.Iterable[str] = (),
) -> list[str]:
    return read(changed(changes, everywhere), known, tailscale=tailscale)[1]
