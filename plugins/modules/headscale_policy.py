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
  - Headscale checks a policy, with its tests and with O(needs), before it takes it. When it refuses, the old one stays
    in force. Check mode has it checked too, while Headscale runs.
  - A test that names a tag which no node has is left out, since Headscale would refuse it. Once such a node is there,
    M(wonder.mesh.headscale_node) adds the test. Those in force stay until something else in the policy changes.
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
  nodes:
    description:
      - The wanted nodes, as M(wonder.mesh.headscale_node) takes them. Those that do not have their tags yet, which they
        get after the policy, count as if they were not there.
      - Without it, nodes count as they are.
    type: list
    elements: dict
    default: []
  needs:
    description:
      - What the policy must leave open, whatever else it says, as P(wonder.mesh.mesh_needs#filter) makes it.
      - Each is a C(src), a C(dst) with its port, a C(proto) (V(ssh) for a login where tailscaled answers SSH), and
        C(what) is lost without it. One whose ends are not there is not looked at.
    type: list
    elements: dict
    default: []
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

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wonder.mesh.plugins.module_utils._headscale import (
    CONNECTION,
    DATABASE,
    NODES,
    Headscale,
    HeadscaleError,
    current_policy,
)
from ansible_collections.wonder.mesh.plugins.module_utils._headscale_policy import (
    RefusedError,
    check_tests,
    difference,
    judge,
    people_of,
    put,
    put_back,
    settled_tags,
    tags_of,
    to_have,
    with_testable,
)
from ansible_collections.wonder.mesh.plugins.module_utils._trial import ON_TRIAL, TrialError, begun, on_trial

if t.TYPE_CHECKING:
    from collections.abc import Callable


def converge(module: AnsibleModule) -> dict[str, t.Any]:
    """Compare and set; the module's result."""
    policy, needs = module.params["policy"], module.params["needs"]
    if not {"grants", "acls"} & policy.keys():
        raise HeadscaleError(
            "the policy has neither `grants` nor `acls`, which would allow everything; add `grants: []`"
        )
    check_tests(policy)
    headscale = Headscale(module.run_command, module.params, may_write=not module.check_mode)
    before = current_policy(headscale)
    nodes = headscale.read(NODES)["nodes"]
    tags = settled_tags(nodes, module.params["nodes"]) if module.params["nodes"] else tags_of(nodes)
    after = to_have(policy, before, tags)
    result = {"changed": before != after, "diff": difference(before, after)}
    if result["changed"] or needs:
        try:
            judge(headscale, with_testable(after, tags), needs, tags | people_of(nodes))
        except RefusedError:
            raise
        except HeadscaleError:  # in check mode it may be down, or there is no key yet
            if not module.check_mode:
                raise
    if not result["changed"] or module.check_mode:
        return result

    def change(prove: Callable[[], None]) -> dict[str, t.Any]:
        put(headscale.call, after, before, tags_of(nodes))
        try:
            prove()
        except TrialError as exc:
            put_back(headscale.call, before, tags_of(nodes))
            raise HeadscaleError(f"{exc}. The previous policy was put back.") from exc
        return result

    # To the time before the first policy there is no way back.
    return on_trial("" if before is None else module.params["trial"], change, module.run_command)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "policy": {"type": "dict", "required": True},
            "nodes": {"type": "list", "elements": "dict", "default": []},
            "needs": {"type": "list", "elements": "dict", "default": []},
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
