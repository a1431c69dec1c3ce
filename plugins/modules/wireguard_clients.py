#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: wireguard_clients
short_description: Make the configurations of machines that Ansible does not manage
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - Makes for each of C(wireguard_clients), such as a phone, a key, a configuration as C(wg-quick) and the apps of
    WireGuard read it, and its QR code, as a picture and as text for a terminal.
  - The files hold private keys. They are made on the controller, for their owner's eyes only (mode 0600), and nothing
    of them is printed. A key that is there is kept.
  - The registry learns the public keys. The nodes know a client once their role P(wonder.mesh.wireguard#role) has run.
  - It runs on the controller and calls no host.
requirements:
  - cryptography and segno, on the controller
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - wonder.mesh.attributes.full
options:
  directory:
    description: Where the files go, on the controller. It is made, with mode 0700.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Make the configurations of phones
  wonder.mesh.wireguard_clients:
    directory: "{{ inventory_dir }}/wireguard-clients"
  run_once: true
"""

RETURN = r"""
files:
  description: The configurations. Beside each there is its QR code, C(.png) and C(.txt).
  returned: success
  type: list
  elements: str
  sample: [/srv/mesh/wireguard-clients/phone.conf]
"""

# All of it happens in the action plugin of the same name.
