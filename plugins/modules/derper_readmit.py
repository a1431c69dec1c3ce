#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: derper_readmit
short_description: Have relays check all their clients again
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - A relay checks a client when it connects, and never again, so that a node which was taken out of the mesh stays
    on its relay. This starts the relays anew, one after the other, and who is no node any more stays out.
  - Before that it waits some seconds, until the relays know that the node has gone. Other nodes are back on a relay
    within a second or two.
  - A relay that cannot be reached is a warning and no failure, since it may be gone itself.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - wonder.mesh.attributes.no_diff
options:
  relays:
    description: The names of the relays in the inventory.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Have the relays check all their clients again
  wonder.mesh.derper_readmit:
    relays: [vps, other-vps]
"""

RETURN = r"""
# Nothing but whether a relay was started anew.
"""

# All of it happens in the action plugin of the same name.
