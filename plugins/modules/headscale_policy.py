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
  - wonder.mesh.attributes.full
  - wonder.mesh.headscale
  - wonder.mesh.headscale.database
options:
  policy:
    description:
      - The policy, as P(wonder.mesh.mesh_policy#filter) makes it.
      - It must hold C(grants) or C(acls). Headscale takes a policy without either as leave for everything.
    type: dict
    required: true
  trial:
    description:
      - The name of the change, for when it is made on trial since the controller reaches hosts through the mesh, see
        M(wonder.mesh.mesh_confirm). The action plugin fills it in.
    type: str
    default: ""
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
from ansible_collections.wonder.mesh.plugins.module_utils._trial import ON_TRIAL, TrialError, begun, on_trial

if t.TYPE_CHECKING:
    from collections.abc import Callable


def shown(policy: t.Any) -> str:
    if policy is None:
        return ""
    return policy if isinstance(policy, str) else json.dumps(policy, indent=2, sort_keys=True) + "\n"


def put(headscale: Headscale, policy: t.Any) -> None:
    text = policy if isinstance(policy, str) else json.dumps(policy, indent=2, sort_keys=True)
    headscale.call("PUT", POLICY, {"policy": text})


def converge(module: AnsibleModule) -> dict[str, t.Any]:
    """Compare and set; the module's result."""
    policy = module.params["policy"]
    if not {"grants", "acls"} & policy.keys():
        raise HeadscaleError(
            "the policy has neither `grants` nor `acls`, which would allow everything; add `grants: []`"
        )
    headscale = Headscale(module.run_command, module.params, may_write=not module.check_mode)
    before = current_policy(headscale)
    headers = {"before_header": "the policy", "after_header": "the policy"}
    result = {"changed": before != policy, "diff": {**headers, "before": shown(before), "after": shown(policy)}}
    if not result["changed"] or module.check_mode:
        return result

    def change(prove: Callable[[], None]) -> dict[str, t.Any]:
        put(headscale, policy)
        try:
            prove()
        except TrialError as exc:
            put(headscale, before)
            raise HeadscaleError(f"{exc}. The previous policy was put back.") from exc
        return result

    # To the time before the first policy there is no way back.
    return on_trial("" if before is None else module.params["trial"], change, module.run_command)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "policy": {"type": "dict", "required": True},
            "database": DATABASE,
            "trial": {"type": "str", "default": ""},
            **CONNECTION,
        },
        supports_check_mode=True,
    )
    os.umask(0o077)
    if begun(module.params["trial"]):
        module.exit_json(**ON_TRIAL)
    try:
        result = converge(module)
    except HeadscaleError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
