#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: headscale_node
short_description: Bring the nodes of a Headscale to their wanted tags, routes and names
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - Takes the whole list of wanted nodes and converges all of them in one remote call.
  - A node that has not joined yet is left out and returned as RV(unknown).
  - A test of the policy that names a tag without any node would make Headscale refuse every change of the policy. The
    last node of a tag therefore takes its tests along, in the same call.
  - Nodes that are not in the list are left alone. Only one that is named with another O(nodes[].state) is taken out.
  - A machine that was reinstalled joins as a new node under a new name. Given its O(nodes[].key), the old entry of its
    name is removed when it is offline, and the new one gets the name.
  - Runs on the coordinator. The API key that it needs is made there and never leaves it.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - wonder.mesh.attributes.full
  - wonder.mesh.headscale
  - wonder.mesh.headscale.database
options:
  nodes:
    description: The wanted nodes.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The node's name in the mesh.
        type: str
        required: true
      tags:
        description: All of its tags, each one with an owner in the policy. Needed with O(nodes[].state=present).
        type: list
        elements: str
      state:
        description:
          - V(expired) logs the node out and gives it the tag C(tag:removed) alone, to which nothing is granted, so that
            relays do not know it either. It keeps its name and addresses, and comes back to them with a new join key.
          - V(absent) deletes it. Should it come back, it is a new node.
        type: str
        choices: [absent, expired, present]
        default: present
      routes:
        description: The routes that it may announce to the mesh.
        type: list
        elements: str
        default: []
      key:
        description: Its public node key, when it is known.
        type: str
        default: ""
      joins:
        description: Whether the same run lets it join. In check mode it then counts as a node.
        type: bool
        default: false
  policy:
    description:
      - The policy that M(wonder.mesh.headscale_policy) has set. Its tests of these nodes are added to the policy in
        force, now that the nodes are there. If other things than its tests differ, nothing is touched.
      - Without it, only tests for which there are no nodes any more are taken out.
    type: dict
"""

EXAMPLES = r"""
- name: Tag the nodes
  wonder.mesh.headscale_node:
    nodes:
      - {name: mini-1, tags: ["tag:node", "tag:node-mini-1"]}
      - {name: router, tags: ["tag:node"], routes: ["192.168.1.0/24"]}

- name: Forget a machine that is gone
  wonder.mesh.headscale_node:
    nodes:
      - {name: old-laptop, state: absent}
"""

RETURN = r"""
nodes:
  description: The nodes that are to be present as Headscale knows them.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The node's name.
      type: str
      sample: mini-1
    addresses:
      description: Its addresses in the mesh.
      type: list
      elements: str
      sample: ["100.64.0.1", "fd7a:115c:a1e0::1"]
    tags:
      description: Its tags.
      type: list
      elements: str
      sample: ["tag:node"]
    online:
      description: Whether it is connected to the coordinator.
      type: bool
      sample: true
unknown:
  description: The names of wanted nodes that have not joined.
  returned: success
  type: list
  elements: str
  sample: []
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wonder.mesh.plugins.module_utils._headscale import Headscale, HeadscaleError
from ansible_collections.wonder.mesh.plugins.module_utils._headscale_nodes import ARGUMENTS, converge


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    os.umask(0o077)
    wanted = module.params["nodes"]
    if not os.path.exists(module.params["binary"]) and all(each["state"] != "present" for each in wanted):
        module.exit_json(changed=False, diff=[], nodes=[], unknown=[])  # without a Headscale, nobody is its node
    headscale = Headscale(module.run_command, module.params, may_write=not module.check_mode)
    try:
        result = converge(headscale, wanted, module.check_mode, module.params["policy"])
    except HeadscaleError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
