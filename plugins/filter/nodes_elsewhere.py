# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
name: nodes_elsewhere
short_description: The hosts that are nodes of another coordinator than the inventory's
version_added: 0.1.0
author: The Wonder Mesh authors (@wonder-mesh)
description:
  - Finds, before anything is changed, what no run may do by itself, which is to take a node out of its mesh.
  - A coordinator that gets another name is another one for its nodes, and would cut them off half-way through a run.
options:
  _input:
    description: The model that M(wonder.mesh.mesh_model) makes.
    type: dict
    required: true
  looks:
    description:
      - What M(wonder.mesh.mesh_host_info) returned of each of the model's C(nodes), in their order.
      - Anything without RV(wonder.mesh.mesh_host_info#module:node) for a host that was not asked.
    type: list
    elements: raw
    required: true
"""

EXAMPLES = r"""
- name: Show which hosts are nodes of another coordinator
  ansible.builtin.debug:
    msg: "{{ ansible_facts['mesh'] | wonder.mesh.nodes_elsewhere([look]) }}"
"""

RETURN = r"""
_value:
  description: A line for each of them, with the coordinator that it is a node of, and how to move it.
  type: list
  elements: str
"""

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.plugin_utils._shape import ShapeError, check_model

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def nodes_elsewhere(model: object, looks: Sequence[object]) -> list[str]:
    try:
        mesh = check_model(model)
    except ShapeError as exc:
        raise AnsibleFilterError(f"nodes_elsewhere: {exc}") from exc
    if len(looks) != len(mesh["nodes"]):
        raise AnsibleFilterError(
            f"nodes_elsewhere: {len(looks)} looks for {len(mesh['nodes'])} nodes; give one for each"
        )
    servers = {name: _server(look) for name, look in zip(mesh["nodes"], looks, strict=True)}
    return [
        f"{name} is a node of {server}, and should be one of {mesh['server_url']}. Nothing was changed. "
        f"To move {name}, run `tailscale logout` on it first."
        for name, server in servers.items()
        if server not in ("", mesh["server_url"])
    ]


def _server(look: object) -> str:
    """The coordinator that the host is a node of; "" if it is none, or was not asked."""
    node = look.get("node") if isinstance(look, Mapping) else None
    if not node or not node["status"].get("HaveNodeKey") or node["status"].get("BackendState") == "NeedsLogin":
        return ""
    return str(node["preferences"].get("ControlURL") or "").rstrip("/")


class FilterModule:
    def filters(self) -> dict[str, Callable[..., t.Any]]:
        return {"nodes_elsewhere": nodes_elsewhere}
