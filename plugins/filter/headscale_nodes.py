# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
name: headscale_nodes
short_description: The nodes of the mesh with their tags and routes
version_added: 0.1.0
author: The Wonder Mesh authors (@wonder-mesh)
description:
  - Turns the model into the list that M(wonder.mesh.headscale_node) takes.
options:
  _input:
    description: The model that M(wonder.mesh.mesh_model) makes.
    type: dict
    required: true
  keys:
    description:
      - The public node keys in the order of the model's C(nodes). Empty for a node that has yet to join, and V(false)
        for one that this run did not ask.
    type: list
    elements: raw
    default: []
"""

EXAMPLES = r"""
- name: Tag the nodes
  wonder.mesh.headscale_node:
    nodes: "{{ ansible_facts['mesh'] | wonder.mesh.headscale_nodes }}"
"""

RETURN = r"""
_value:
  description: The nodes, sorted by name, each with C(name), C(tags), C(key), and C(joins) if this run lets it join.
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.plugin_utils._shape import ShapeError, check_model

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def headscale_nodes(model: object, keys: Sequence[str | bool] = ()) -> list[dict[str, t.Any]]:
    try:
        mesh = check_model(model)
    except ShapeError as exc:
        raise AnsibleFilterError(f"headscale_nodes: {exc}") from exc
    names = mesh["nodes"]
    if keys and len(keys) != len(names):
        raise AnsibleFilterError(
            f"headscale_nodes: {len(keys)} keys for {len(names)} nodes; give one for each, or none"
        )
    hosts = [mesh["hosts"][name] for name in names]
    return [
        {"name": host["label"], "tags": sorted(host["tags"]), "key": key or "", "joins": key == ""}
        for host, key in zip(hosts, keys or [False] * len(hosts), strict=True)
    ]


class FilterModule:
    def filters(self) -> dict[str, Callable[..., t.Any]]:
        return {"headscale_nodes": headscale_nodes}
