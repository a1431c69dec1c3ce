# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
name: headscale_removed_nodes
short_description: The nodes to delete, once it is sure that the inventory has none of them
version_added: 0.1.0
author: The Wonder Mesh authors (@wonder-mesh)
description:
  - Turns names into what M(wonder.mesh.headscale_node) takes to delete those nodes.
  - Refuses the name of a node that the inventory has, which the next run would let join again.
options:
  _input:
    description: The model that M(wonder.mesh.mesh_model) makes.
    type: dict
    required: true
  names:
    description: The names, as the mesh has them.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Forget a machine that broke
  wonder.mesh.headscale_node:
    nodes: "{{ ansible_facts['mesh'] | wonder.mesh.headscale_removed_nodes(['old-laptop']) }}"
"""

RETURN = r"""
_value:
  description: The nodes, sorted by name, each with C(name) and the C(state) absent.
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.plugin_utils._shape import ShapeError, check_model

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def headscale_removed_nodes(model: object, names: Sequence[str]) -> list[dict[str, str]]:
    try:
        mesh = check_model(model)
    except ShapeError as exc:
        raise AnsibleFilterError(f"headscale_removed_nodes: {exc}") from exc
    labels = {mesh["hosts"][name]["label"]: name for name in mesh["nodes"]}
    for name in names:
        if name in labels:
            raise AnsibleFilterError(
                f"headscale_removed_nodes: {name} is the node of {labels[name]}, which the inventory has in the group "
                "nodes. Take the host out of the inventory, or its name out of headscale_removed_nodes."
            )
    return [{"name": name, "state": "absent"} for name in sorted(set(names))]


class FilterModule:
    def filters(self) -> dict[str, Callable[..., t.Any]]:
        return {"headscale_removed_nodes": headscale_removed_nodes}
