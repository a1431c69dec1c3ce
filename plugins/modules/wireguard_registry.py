#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: wireguard_registry
short_description: Know the addresses and public keys of all nodes of a WireGuard mesh
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - Merges what the hosts of this run have shown of themselves with the registry that the controller keeps beside the
    inventory, and writes that again if something is new. A node that is not asked stays as it is known.
  - Refuses, before anything is changed, two nodes with one key, such as a machine that was cloned from another's image,
    a damaged key, and registries of which none is the newer.
  - Makes the mesh secret, from which pre-shared keys are made, when a mesh has none of its keys yet.
  - It runs on the controller and calls no host. With C(run_once) every host of the play gets the model as a fact.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - wonder.mesh.attributes.full
options:
  look:
    description: The name under which the hosts' answers of M(wonder.mesh.mesh_host_info) are registered.
    type: str
    default: __look
  key:
    description:
      - The name under which the answers of M(wonder.mesh.wireguard_interface) are registered that have made a key, if
        one had to.
    type: str
    default: __look_key
"""

EXAMPLES = r"""
- name: Look at the host
  wonder.mesh.mesh_host_info:
    interface: wm0
  register: __look

- name: Know all nodes
  wonder.mesh.wireguard_registry:
  run_once: true
"""

RETURN = r"""
ansible_facts:
  description: What later plays and roles need.
  returned: success
  type: dict
  contains:
    mesh:
      description: The model, as M(wonder.mesh.mesh_model) returns it, with the keys and addresses that are known now.
      type: dict
      returned: always
    known_nodes:
      description: The registry, as each node gets it.
      type: str
      returned: always
diff:
  description: The registry's file before and after. It is public.
  returned: success
  type: list
  elements: dict
"""

# All of it happens in the action plugin of the same name.
