#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: headscale_policy
short_description: Set the policy of a Headscale
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - Compares the policy in Headscale's database with the wanted one, and sets it when they differ.
  - Headscale checks a policy before it takes it. When it refuses, the old one stays in force.
  - Runs on the coordinator. The API key that it needs is made there and never leaves it.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    platforms: posix
options:
  policy:
    description:
      - The policy, as P(wonder.mesh.mesh_policy#filter) makes it.
      - It must hold C(grants) or C(acls). Headscale takes a policy without either as leave for everything.
    type: dict
    required: true
  url:
    description: Where Headscale listens on the coordinator.
    type: str
    default: http://127.0.0.1:8080
  binary:
    description: The Headscale program, which makes the API key.
    type: path
    default: /usr/local/bin/headscale
  database:
    description: Headscale's database. Check mode reads a copy of it while Headscale is down.
    type: path
    default: /var/lib/headscale/db.sqlite
  config:
    description: Headscale's configuration.
    type: path
    default: /etc/headscale/config.yaml
"""

EXAMPLES = r"""
- name: Let gateways reach what is published, and nothing else
  wonder.mesh.headscale_policy:
    policy: "{{ ansible_facts['mesh'] | wonder.mesh.mesh_policy }}"
"""

RETURN = r"""
"""

import json
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wonder.mesh.plugins.module_utils._headscale import (
    CONNECTION,
    DATABASE,
    POLICY,
    Headscale,
    HeadscaleError,
    current_policy,
)


def shown(policy: t.Any) -> str:
    if policy is None:
        return ""
    return policy if isinstance(policy, str) else json.dumps(policy, indent=2, sort_keys=True) + "\n"


def converge(headscale: Headscale, policy: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Compare and set; the module's result."""
    if not {"grants", "acls"} & policy.keys():
        raise HeadscaleError(
            "the policy has neither `grants` nor `acls`, which would allow everything; add `grants: []`"
        )
    before = current_policy(headscale)
    changed = before != policy
    if changed and not check_mode:
        headscale.call("PUT", POLICY, {"policy": json.dumps(policy, indent=2, sort_keys=True)})
    headers = {"before_header": "the policy", "after_header": "the policy"}
    return {"changed": changed, "diff": {**headers, "before": shown(before), "after": shown(policy)}}


def main() -> None:
    module = AnsibleModule(
        argument_spec={"policy": {"type": "dict", "required": True}, "database": DATABASE, **CONNECTION},
        supports_check_mode=True,
    )
    os.umask(0o077)
    headscale = Headscale(module.run_command, module.params, may_write=not module.check_mode)
    try:
        result = converge(headscale, module.params["policy"], module.check_mode)
    except HeadscaleError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
