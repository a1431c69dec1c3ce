#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_confirm
short_description: Confirm a change that this host made on trial
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - A change that may cut the controller off is made on trial. The host keeps it only when the controller comes back
    over a new connection and confirms it, and otherwise takes it back after 45 seconds.
  - The action plugins of M(wonder.mesh.daemon), M(wonder.mesh.tailscale_node) and M(wonder.mesh.headscale_policy) call
    this module; it is not for playbooks.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - wonder.mesh.attributes.none
options:
  trial:
    description: The name of the trial.
    type: str
    required: true
  verdict:
    description: Whether to keep the change, or to take it back at once.
    type: str
    choices: [keep, revert]
    default: keep
"""

EXAMPLES = r"""
- name: Keep what the host has on trial
  wonder.mesh.mesh_confirm:
    trial: 5f0c7e3a9d1b2c48
"""

RETURN = r"""
outcome:
  description:
    - The result of the change, as the task that made it has it; empty when the host knows nothing of it. It holds
      C(on_trial) when the change had not been made yet as the question came.
  returned: always
  type: dict
  sample: {changed: true}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wonder.mesh.plugins.module_utils._trial import ask


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "trial": {"type": "str", "required": True},
            "verdict": {"type": "str", "choices": ["keep", "revert"], "default": "keep"},
        }
    )
    outcome = ask(module.params["trial"], module.params["verdict"].encode())
    module.exit_json(changed=False, outcome=outcome or {})


if __name__ == "__main__":
    main()
