# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
name: wireguard_names
short_description: The names of all nodes of a WireGuard mesh, with their addresses
version_added: 0.1.0
author: The Wonder Mesh authors (@wonder-mesh)
description:
  - Plain WireGuard knows no names. This says which there are, for C(/etc/hosts) or for a resolver.
options:
  _input:
    description: The model that M(wonder.mesh.mesh_model) returns, of a mesh on WireGuard.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Write a file of names for dnsmasq
  ansible.builtin.copy:
    content: |
      {% for name, addresses in (ansible_facts['mesh'] | wonder.mesh.wireguard_names).items() %}
      {% for address in addresses %}
      {{ address }} {{ name }}
      {% endfor %}
      {% endfor %}
    dest: /etc/dnsmasq.hosts
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The addresses of each node, by its name in the mesh, sorted.
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.plugin_utils._shape import ShapeError, check_wireguard
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_rules import node_names

if t.TYPE_CHECKING:
    from collections.abc import Callable


def wireguard_names(model: object) -> dict[str, list[str]]:
    try:
        return node_names(check_wireguard(model))
    except ShapeError as exc:
        raise AnsibleFilterError(f"wireguard_names: {exc}") from exc


class FilterModule:
    def filters(self) -> dict[str, Callable[..., t.Any]]:
        return {"wireguard_names": wireguard_names}
