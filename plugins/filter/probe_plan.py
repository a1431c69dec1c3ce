# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
name: probe_plan
short_description: What one host measures for the proof
version_added: 0.1.0
author: The mesh project (@wonder-mesh)
description:
  - Makes the arguments of M(wonder.mesh.mesh_probe) for one host.
  - The plan says what to try and never what should come out, so that a measurement cannot be bent towards the promise.
  - A node measures its peers; a stranger measures what the internet can see. A host that is neither measures nothing.
options:
  _input:
    description: The model that M(wonder.mesh.mesh_model) returns.
    type: dict
    required: true
  host:
    description:
      - The host that measures.
      - V(controller) is the stranger of an inventory that has none.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Measure
  wonder.mesh.mesh_probe: "{{ ansible_facts['mesh'] | wonder.mesh.probe_plan(inventory_hostname) }}"
  register: __verify_probe
"""

RETURN = r"""
_value:
  description: The arguments of M(wonder.mesh.mesh_probe).
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.plugin_utils._plan import plan
from ansible_collections.wonder.mesh.plugins.plugin_utils._shape import ShapeError, check_model, host_of
from ansible_collections.wonder.mesh.plugins.plugin_utils._types import CONTROLLER

if t.TYPE_CHECKING:
    from collections.abc import Callable


def probe_plan(model: object, host: str) -> dict[str, t.Any]:
    try:
        mesh = check_model(model)
        if host != CONTROLLER or mesh["strangers"]:
            host_of(mesh, host)
        return plan(mesh, host)
    except ShapeError as exc:
        raise AnsibleFilterError(f"probe_plan: {exc}") from exc


class FilterModule:
    def filters(self) -> dict[str, Callable[..., t.Any]]:
        return {"probe_plan": probe_plan}
