# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
name: mesh_paths
short_description: The path that each pair of nodes should get
version_added: 0.1.0
author: The mesh project (@wonder-mesh)
description:
  - Foretells from homes and kinds of NAT how each node reaches each other one.
  - Two nodes of one home meet on their LAN. A node whose network blocks UDP is always relayed. A public node and one
    behind a full-cone NAT are reached directly by everybody else; two easy NATs punch through to each other, and a hard
    NAT only gets through to the former two. A carrier's NAT (V(cgnat)) is taken for a hard one.
  - On plain WireGuard a pair is direct if one of the two can call the other, and else it goes through a hub.
  - Nothing is foretold for a NAT of the kind V(auto), which only the proof measures.
options:
  _input:
    description: The model that M(wonder.mesh.mesh_model) returns.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the paths that the inventory promises
  ansible.builtin.debug:
    msg: "{{ ansible_facts['mesh'] | wonder.mesh.mesh_paths }}"
"""

RETURN = r"""
_value:
  description:
    - One entry per ordered pair of nodes, sorted, with C(from), C(to) and C(predicted).
    - C(predicted) is V(direct), V(relay), V(hub) or V(unknown).
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.plugin_utils._paths import predicted_paths
from ansible_collections.wonder.mesh.plugins.plugin_utils._shape import ShapeError, check_model

if t.TYPE_CHECKING:
    from collections.abc import Callable


def mesh_paths(model: object) -> list[dict[str, str]]:
    try:
        return predicted_paths(check_model(model))
    except ShapeError as exc:
        raise AnsibleFilterError(f"mesh_paths: {exc}") from exc


class FilterModule:
    def filters(self) -> dict[str, Callable[..., t.Any]]:
        return {"mesh_paths": mesh_paths}
