# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
name: wireguard_rules
short_description: What a node of a WireGuard mesh lets in
version_added: 0.1.0
author: The Wonder Mesh authors (@wonder-mesh)
description:
  - Makes the rules for what comes in by the interface of one node. All else is dropped, but answers and ICMP.
  - Every node reaches the probe port, gateways reach exactly the published ports, nodes in C(mesh_admins) reach SSH,
    and C(mesh_grants) come on top. A person is known by the C(wireguard_clients) that are hers.
  - A network in C(wireguard_routes) is open to whom C(mesh_grants) let reach its node, at the same ports, and to nobody
    else.
options:
  _input:
    description: The model that M(wonder.mesh.mesh_model) returns, of a mesh on WireGuard.
    type: dict
    required: true
  node:
    description: The inventory name of the node.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show what this host lets in
  ansible.builtin.debug:
    msg: "{{ ansible_facts['mesh'] | wonder.mesh.wireguard_rules(inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description:
    - The rules for the host itself as C(input), and for the networks of its home as C(forward).
    - Each has the networks C(from) which it allows, and the C(ports), such as V(tcp:22), V(udp:53), V(tcp:8000-8010)
      and V(tcp:*). The same mesh always gives the same rules.
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.plugin_utils._shape import ShapeError, check_wireguard
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_rules import rules

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_rules import Rules


def wireguard_rules(model: object, node: object) -> Rules:
    try:
        mesh = check_wireguard(model)
        if node not in mesh["nodes"]:
            raise ShapeError(f"{node!r} is no node; there are {', '.join(mesh['nodes'])}")
        return rules(mesh, str(node))
    except ShapeError as exc:
        raise AnsibleFilterError(f"wireguard_rules: {exc}") from exc


class FilterModule:
    def filters(self) -> dict[str, Callable[..., t.Any]]:
        return {"wireguard_rules": wireguard_rules}
