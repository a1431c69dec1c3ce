#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_model
short_description: Check the inventory and make the model of the mesh
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - Reads the groups C(coordinator), C(gateways), C(relays), C(nodes) and C(strangers) and the C(mesh_*) variables of
    every host in the inventory, whatever the play's hosts and C(--limit) are, and checks them against each other.
  - Fails with all mistakes at once, each with host, variable, what was found, the reason and the fix.
  - Besides C(mesh_*) it reads the variables of the roles C(headscale), C(caddy), C(tailscaled), C(probe) and C(verify),
    C(ansible_host) and C(ansible_port), and no other variable. Those of the roles are checked by their argument specs
    for every host that plays the role. One whose template needs facts that the run makes is left to the role.
  - It looks up public names in DNS as the controller sees it. With C(mesh_dns_check=warn) a name that does not lead to
    its host is a warning.
  - It runs on the controller and calls no host. With C(run_once) every host of the play gets the model as a fact.
requirements:
  - cryptography, on the controller
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - wonder.mesh.attributes.no_diff
options:
  outside:
    description:
      - Whether to look beyond the inventory, at DNS, certificates and programs, none of which a removal needs.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Check the inventory
  wonder.mesh.mesh_model:
  run_once: true

- name: Show the services
  ansible.builtin.debug:
    var: ansible_facts['mesh'].services
"""

RETURN = r"""
ansible_facts:
  description: The model once more, as a fact, so that later plays and roles have it without registering it.
  returned: success
  type: dict
  contains:
    mesh:
      description: The same as RV(model).
      type: dict
      returned: always
model:
  description:
    - The mesh, as all filters of this collection take it.
  returned: success
  type: dict
  contains:
    domain:
      description: The base domain of node names.
      type: str
      returned: always
    backend:
      description: What carries the mesh.
      type: str
      returned: always
    probe_port:
      description: The port that answers the probes of the proof.
      type: int
      returned: always
    coordinator:
      description: The inventory name of the coordinator.
      type: str
      returned: always
    server_url:
      description: Where nodes reach the control plane.
      type: str
      returned: always
    nodes:
      description: The inventory names of all nodes, sorted; likewise C(gateways), C(relays) and C(strangers).
      type: list
      elements: str
      returned: always
    hosts:
      description:
        - Per host of our groups its C(name), C(label), C(dns), C(groups), C(public_address), C(home), C(nat), C(tun)
          and C(tags).
      type: dict
      returned: always
    services:
      description:
        - The services, sorted by host and path, each with C(name), C(host), C(path), C(protocol), C(health) and
          C(replicas).
        - The replicas are in the order of the inventory, which is the preference.
      type: list
      elements: dict
      returned: always
    admins:
      description: The C(nodes) and C(people) who reach SSH of every node.
      type: dict
      returned: always
    groups:
      description: The people of each group, by C(group:NAME).
      type: dict
      returned: always
    grants:
      description: The extra permissions, each with C(from), C(to) and C(ports).
      type: list
      elements: dict
      returned: always
"""

# All of it happens in the action plugin of the same name.
