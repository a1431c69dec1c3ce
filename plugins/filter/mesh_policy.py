# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
name: mesh_policy
short_description: Headscale's policy for the mesh
version_added: 0.1.0
author: The mesh project (@wonder-mesh)
description:
  - Makes the policy (version 2, as grants) from the model. It allows what the inventory asks for and nothing else.
  - Every node reaches the probe port of every node; gateways reach exactly the published ports of each node;
    C(mesh_admins) reach SSH of every node; and C(mesh_grants) come on top, also for people by their C(mesh_groups).
  - Every node may ping each relay, which thereby knows it, and may send through the peer relays.
  - Every tag in use gets an entry in C(tagOwners), without owners, since nodes get their tags from Headscale alone.
  - A node that was taken out has the tag C(tag:removed), to which nothing is granted, so that relays do
    not know it any more.
  - C(grants) is always there. A policy without it would allow everything.
  - C(ssh) lets C(mesh_admins) log in, as any user, to nodes with C(tailscaled_ssh). It always has one rule, between
    removed nodes, since of a policy without any nodes do not hear, and go on with the rules that they had.
  - C(tests) are for Headscale, which takes no policy that fails them - each service and each grant, and a sample of
    connections that nothing allows. The same inventory gives the same sample. People are not tested, since their
    devices come and go.
  - C(tests) name all nodes of the inventory. M(wonder.mesh.headscale_policy) leaves out those that have not joined,
    which Headscale would refuse.
options:
  _input:
    description: The model that M(wonder.mesh.mesh_model) returns.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Set the policy
  wonder.mesh.headscale_policy:
    policy: "{{ ansible_facts['mesh'] | wonder.mesh.mesh_policy }}"
"""

RETURN = r"""
_value:
  description:
    - The policy, with C(tagOwners), C(groups) if there are some, C(grants), C(ssh), C(nodeAttrs), C(tests), and
      C(sshTests) if there are some. The same model always gives the same bytes.
  type: dict
"""

import typing as t
from collections import defaultdict

from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.module_utils._headscale_nodes import REMOVED
from ansible_collections.wonder.mesh.plugins.plugin_utils._policy_tests import (
    ALL_NODES,
    GATEWAYS,
    RELAYS,
    ROOT,
    policy_tests,
    selector,
    ssh_tests,
)
from ansible_collections.wonder.mesh.plugins.plugin_utils._service_entry import port_range
from ansible_collections.wonder.mesh.plugins.plugin_utils._shape import ShapeError, check_model
from ansible_collections.wonder.mesh.plugins.plugin_utils._types import SSH_PORT

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model


def mesh_policy(model: object) -> dict[str, t.Any]:
    try:
        mesh = check_model(model)
    except ShapeError as exc:
        raise AnsibleFilterError(f"mesh_policy: {exc}") from exc
    return {
        "tagOwners": {tag: [] for tag in sorted({ALL_NODES, REMOVED, *_tags(mesh)})},
        **({"groups": {name: list(people) for name, people in mesh["groups"].items()}} if mesh["groups"] else {}),
        "grants": [
            {"src": [ALL_NODES], "dst": [ALL_NODES], "ip": [f"tcp:{mesh['probe_port']}"]},
            *_to_relays(mesh),
            *_to_services(mesh),
            *_for_admins(mesh),
            *_on_top(mesh),
        ],
        "ssh": _logins(mesh),
        # A node keeps its last network map over a restart, so that the mesh outlives its control plane.
        "nodeAttrs": [{"target": ["*"], "attr": ["cache-network-maps"]}],
        "tests": policy_tests(mesh),
        **({"sshTests": ssh_tests(mesh)} if mesh["ssh_nodes"] else {}),
    }


def _tags(mesh: Model) -> set[str]:
    return {tag for host in mesh["hosts"].values() for tag in host["tags"]}


def _to_relays(mesh: Model) -> list[dict[str, t.Any]]:
    """A relay lets in whom its own node knows, and Headscale shows a node only those that it shares a rule with."""
    grants: list[dict[str, t.Any]] = []
    if mesh["relays"]:
        grants.append({"src": [ALL_NODES], "dst": [RELAYS], "ip": ["icmp:*"]})
    if mesh["peer_relays"]:
        carriers = sorted(selector(mesh, node) for node in mesh["peer_relays"])
        grants.append({"src": [ALL_NODES], "dst": carriers, "app": {"tailscale.com/cap/relay": []}})
    return grants


def _to_services(mesh: Model) -> list[dict[str, list[str]]]:
    ports: dict[str, set[tuple[str, int, int]]] = defaultdict(set)
    for service in mesh["services"]:
        protocol = "udp" if service["protocol"] == "udp" else "tcp"
        for replica in service["replicas"]:
            ports[selector(mesh, replica["node"])].add((protocol, replica["port"], service["count"]))
    return [
        {
            "src": [GATEWAYS],
            "dst": [node],
            "ip": [f"{protocol}:{port_range(first, count)}" for protocol, first, count in sorted(ports[node])],
        }
        for node in sorted(ports)
    ]


def _for_admins(mesh: Model) -> list[dict[str, list[str]]]:
    admins = [*(selector(mesh, node) for node in mesh["admins"]["nodes"]), *mesh["admins"]["people"]]
    return [{"src": sorted(admins), "dst": [ALL_NODES], "ip": [f"tcp:{SSH_PORT}"]}] if admins else []


def _logins(mesh: Model) -> list[dict[str, t.Any]]:
    """Who logs in where tailscaled answers SSH. Without any rule nodes would not be told, and keep their old ones."""
    rules = [{"action": "accept", "src": [REMOVED], "dst": [REMOVED], "users": [ROOT]}]
    if mesh["ssh_nodes"]:
        (admins,) = (grant["src"] for grant in _for_admins(mesh))
        targets = sorted(selector(mesh, node) for node in mesh["ssh_nodes"])
        rules.append({"action": "accept", "src": admins, "dst": targets, "users": ["autogroup:nonroot", ROOT]})
    return rules


def _on_top(mesh: Model) -> list[dict[str, list[str]]]:
    grants = [
        {
            "src": sorted({selector(mesh, each) for each in grant["from"]}),
            "dst": sorted({selector(mesh, each) for each in grant["to"]}),
            "ip": sorted(set(grant["ports"])),
        }
        for grant in mesh["grants"]
    ]
    return sorted(grants, key=lambda grant: (grant["src"], grant["dst"], grant["ip"]))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., t.Any]]:
        return {"mesh_policy": mesh_policy}
