#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_host_info
short_description: Read in one call all that a run would compare on a host
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - Reads which of the host's daemons are just as the last run wanted them, what the host is as a node, and on the
    coordinator the policy and the nodes. Changes nothing, and leaves out what cannot be read.
  - The controller keeps the answer until the run ends. The tasks of M(wonder.mesh.daemon),
    M(wonder.mesh.tailscale_node), M(wonder.mesh.headscale_policy) and M(wonder.mesh.headscale_node) that follow in the
    same run decide with it, and make a remote call only where something differs. Once something was changed on a host,
    its answer counts no more.
  - Without this module the others do the same, each with a remote call of its own.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - wonder.mesh.attributes.no_diff
options:
  interface:
    description:
      - The host's interface of plain WireGuard, if that carries the mesh. The answer is then what
        M(wonder.mesh.wireguard_host_info) returns.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Look at the host
  wonder.mesh.mesh_host_info:

- name: Look at a host of a mesh on WireGuard
  wonder.mesh.mesh_host_info:
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
  sample: {tailscaled: 5f0c61c7…}
node:
  description:
    - The state and the preferences of tailscaled, by its own names, and the home relay that it keeps for a boot without
      its coordinator. Empty where it does not answer.
  returned: success
  type: dict
  sample: {status: {BackendState: Running}, preferences: {Hostname: mini-1}, home: {region: "901", regions: {}}}
headscale:
  description: The policy and the nodes that Headscale has. Empty where it does not answer.
  returned: success
  type: dict
  sample: {policy: {grants: []}, nodes: []}
relays:
  description:
    - C(published) are the regions of the map of relays that the coordinator publishes, V(null) of a damaged one.
      C(certificates) are those that a relay made for itself, each with its pin and the time at which it ends.
  returned: success
  type: dict
  sample: {published: [], certificates: {/etc/derper/203.0.113.12.pem: [sha256-raw:9f86…, 2110000000]}}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wonder.mesh.plugins.module_utils._host_info import answer


def main() -> None:
    module = AnsibleModule(argument_spec={"interface": {"type": "str", "default": ""}}, supports_check_mode=True)
    module.exit_json(**answer(module.run_command, module.params))


if __name__ == "__main__":
    main()
