#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_leave
short_description: Take a host's node out of the mesh
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - Logs the node out on the coordinator, or deletes it there, by way of M(wonder.mesh.headscale_node).
  - It never calls the host that leaves, which may be switched off or gone for good, and takes out no other node.
  - A coordinator that does not answer is a warning and no failure, since it may be gone itself.
  - Refuses while Ansible reaches the host through the mesh, because that connection would end here.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - wonder.mesh.attributes.full
options:
  hostname:
    description: The node's name in the mesh.
    type: str
    required: true
  coordinator:
    description: The coordinator's name in the inventory.
    type: str
    required: true
  domain:
    description: The base domain of node names.
    type: str
    required: true
  forget:
    description:
      - Whether the node is deleted. Otherwise it is logged out - it carries no traffic any more, but its name and its
        addresses wait for it.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Leave the mesh
  wonder.mesh.mesh_leave:
    hostname: mini-1
    coordinator: hub
    domain: mesh.example.com
"""

RETURN = r"""
# Nothing but whether something changed, and the diff.
"""

# All of it happens in the action plugin of the same name.
