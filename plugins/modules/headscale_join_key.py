#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: headscale_join_key
short_description: Mint a key with which one machine joins the mesh
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - Makes a tagged key that joins one machine and is worthless after that, or after ten minutes.
  - Made for the action plugin of M(wonder.mesh.tailscale_node), which hands the key over inside its own task.
  - A playbook has no use for it - a registered result would hold the key.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - wonder.mesh.attributes.none
  - wonder.mesh.headscale
options:
  tags:
    description: The tags that the machine gets.
    type: list
    elements: str
    required: true
  revoke:
    description: The id of a key to make worthless, instead of making one.
    type: str
    default: ""
"""

EXAMPLES = r"""
# Used by the action plugin of wonder.mesh.tailscale_node.
"""

RETURN = r"""
key:
  description: The key. It is a secret.
  returned: unless a key was revoked
  type: str
  sample: hskey-auth-...
id:
  description: The key's id, with which it can be revoked.
  returned: unless a key was revoked
  type: str
  sample: "7"
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wonder.mesh.plugins.module_utils._headscale import CONNECTION, Headscale, HeadscaleError

LIFETIME = 10 * 60  # seconds


def mint(headscale: Headscale, tags: list[str]) -> dict[str, str]:
    """The new key and its id."""
    expires = time.gmtime(time.time() + LIFETIME)
    wanted = {
        "reusable": False,
        "ephemeral": False,
        "aclTags": tags,
        "expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", expires),
    }
    made = headscale.call("POST", "/api/v1/preauthkey", wanted)["preAuthKey"]
    return {"key": made["key"], "id": str(made["id"])}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "tags": {"type": "list", "elements": "str", "required": True},
            "revoke": {"type": "str", "default": ""},
            **CONNECTION,
        },
        no_log=True,
    )
    os.umask(0o077)
    headscale = Headscale(module.run_command, module.params, may_write=True)
    try:
        if module.params["revoke"]:
            headscale.call("POST", "/api/v1/preauthkey/expire", {"id": module.params["revoke"]})
            module.exit_json(changed=True)
        module.exit_json(changed=True, **mint(headscale, module.params["tags"]))
    except HeadscaleError as exc:
        module.fail_json(msg=str(exc))


if __name__ == "__main__":
    main()
