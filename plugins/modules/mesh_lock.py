#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_lock
short_description: Be the only run that works on an inventory
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - Fails if another run of this machine works on the inventory, and says which one. The lock lasts as long as the run,
    however that ends; nothing has to release it.
  - Runs on other machines are not seen.
  - A directory in which nothing can be written is a warning.
  - Check mode neither takes the lock nor minds it.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - wonder.mesh.attributes.no_diff
options:
  directory:
    description: Where the inventory is, on the controller. The lock is a hidden file in it.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Be the only run of this inventory
  wonder.mesh.mesh_lock:
    directory: "{{ inventory_dir }}"
  run_once: true
"""

RETURN = r""" # """

# All of it happens in the action plugin of the same name.
