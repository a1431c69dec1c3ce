# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
name: wireguard_peers
short_description: The peer table of one node of a WireGuard mesh
version_added: 0.1.0
author: The mesh project (@wonder-mesh)
description:
  - Turns the mesh that the inventory describes into all that the WireGuard interface of one node must be.
  - It takes the whole mesh, whatever the play's hosts and C(--limit) are, so that no peer is lost when a host is away.
  - A node that never had a key is nobody's peer yet.
  - The table holds no secret.
options:
  _input:
    description: The C(wireguard) part of the model that M(wonder.mesh.mesh_model) returns.
    type: dict
    required: true
  node:
    description: The inventory name of the node whose table is wanted.
    type: str
    required: true
  keys:
    description: Public keys by inventory name, where the run knows newer ones than the model.
    type: dict
"""

EXAMPLES = r"""
- name: Show the interface of this host
  ansible.builtin.debug:
    msg: "{{ ansible_facts['mesh'].wireguard | wonder.mesh.wireguard_peers(inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: The interface. The same mesh always gives the same table.
  type: dict
  contains:
    name:
      description: The inventory name of the node.
      type: str
    public_key:
      description: Its own public key, empty as long as it has none.
      type: str
    addresses:
      description: Its addresses in the mesh, each with the length of a host.
      type: list
      elements: str
    mtu:
      description: The MTU of the interface, in bytes.
      type: int
    port:
      description: The UDP port that it listens on.
      type: int
    extra_ports:
      description: Further UDP ports, whose packets the host leads to C(port).
      type: list
      elements: int
    peers:
      description:
        - The peers, sorted by name, each with C(name), C(public_key), C(endpoint), C(allowed_ips), C(keepalive) and
          C(preshared).
        - C(endpoint) is null for a peer that calls and cannot be called. C(keepalive) is in seconds, 0 for none.
          C(preshared) says whether the pair has a pre-shared key.
        - Among the allowed IPs of a hub are the networks behind it, as they are when all hubs answer. They may hold
          those of other peers, which are longer and so win; none is equal to one of another peer.
      type: list
      elements: dict
    routes:
      description: The networks that the host finds through the interface.
      type: list
      elements: str
    hubs:
      description: The hubs that it needs, in order, each with its C(name) and its C(address) in the mesh, to probe it.
      type: list
      elements: dict
    relayed:
      description:
        - What lies behind hubs, as C(networks) and C(hubs). The networks belong to the allowed IPs of the first of the
          hubs that answers. The nodes at the other end have the same hubs in the same order.
      type: list
      elements: dict
    forward:
      description:
        - C(mesh) says whether the host forwards between its peers. C(networks) are those of its home that it leads to.
      type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.plugin_utils._shape import ShapeError
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_plain import of_plain
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_tables import Plan

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_types import Table


def wireguard_peers(mesh: object, node: object, keys: object = None) -> Table:
    try:
        wanted = of_plain(mesh, keys)
    except ShapeError as exc:
        raise AnsibleFilterError(f"wireguard_peers: {exc}") from exc
    if not isinstance(node, str) or node not in wanted.nodes:
        raise AnsibleFilterError(f"wireguard_peers: {node!r} is no node; there are {', '.join(wanted.nodes)}")
    return Plan(wanted, str(node)).table(str(node))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., t.Any]]:
        return {"wireguard_peers": wireguard_peers}
