# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
name: mesh_needs
short_description: What no policy of Headscale may take away
version_added: 0.1.0
author: The Wonder Mesh authors (@wonder-mesh)
description:
  - Lists the connections without which a gateway loses a published service, or somebody in C(mesh_admins) loses SSH.
  - The policy that the inventory gives leaves them open. One of the user's own is refused when it does not.
options:
  _input:
    description: The model that M(wonder.mesh.mesh_model) makes.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Set a policy of my own, if nothing is lost by it
  wonder.mesh.headscale_policy:
    policy: "{{ lookup('ansible.builtin.file', 'policy.json') | from_json }}"
    needs: "{{ ansible_facts['mesh'] | wonder.mesh.mesh_needs }}"
"""

RETURN = r"""
_value:
  description: Each with C(src), C(proto), C(dst) with its port, and C(what) it is for in words.
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.plugin_utils._policy_tests import policy_needs
from ansible_collections.wonder.mesh.plugins.plugin_utils._shape import ShapeError, check_model

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.wonder.mesh.plugins.plugin_utils._policy_tests import Need


def mesh_needs(model: object) -> list[Need]:
    try:
        return policy_needs(check_model(model))
    except ShapeError as exc:
        raise AnsibleFilterError(f"mesh_needs: {exc}") from exc


class FilterModule:
    def filters(self) -> dict[str, Callable[..., t.Any]]:
        return {"mesh_needs": mesh_needs}
