#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: wireguard_host_info
short_description: Read in one call all that a run would compare on a host of a WireGuard mesh
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - What M(wonder.mesh.mesh_host_info) asks a host with, where its O(wonder.mesh.mesh_host_info#module:interface) is
    given. Changes nothing, and leaves out what cannot be read.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - wonder.mesh.attributes.no_diff
options:
  interface:
    description: The name of the interface.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Read what there is on the host
  wonder.mesh.wireguard_host_info:
    interface: wm0
"""

RETURN = r"""
machine:
  description: The host's architecture, as C(uname -m) has it.
  returned: success
  type: str
  sample: x86_64
daemons:
  description: For each daemon that is just as the last run wanted it, a hash of all that was wanted.
  returned: success
  type: dict
  sample: {caddy: 5f0c61c7…}
tailscale:
  description: Whether the host has Tailscale besides.
  returned: success
  type: bool
  sample: false
wireguard:
  description:
    - The C(public_key) of the host, empty if it has none, or the C(error) in its key; the text of its copy of the
      C(registry); and as C(identity) a hash of what was wanted of the interface last, empty unless all is like that.
    - C(obstacles) are chains of nftables that drop by default what the host forwards, and do not name the interface.
      C(preshared_sha256) is the hash of the file with its pre-shared keys, C(userspace) whether it is a process.
  returned: success
  type: dict
  sample: {public_key: "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=", error: "", registry: "", identity: ""}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_host_info import answer


def main() -> None:
    module = AnsibleModule(argument_spec={"interface": {"type": "str", "required": True}}, supports_check_mode=True)
    module.exit_json(**answer(module.run_command, module.params))


if __name__ == "__main__":
    main()
