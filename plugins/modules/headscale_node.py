#!/usr/bin/python
# SPDX-License-Identifier: MIT

from __future__ import annotations

DOCUMENTATION = r"""
module: headscale_node
short_description: Bring the nodes of a Headscale to their wanted tags, routes and names
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - Takes the whole list of wanted nodes and converges all of them in one remote call.
  - A node that has not joined yet is left out and returned as RV(unknown).
  - Nodes that are not in the list are left alone.
  - A machine that was reinstalled joins as a new node under a new name. Given its O(nodes[].key), the old entry of its
    name is removed when it is offline, and the new one gets the name.
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
  nodes:
    description: The wanted nodes.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The node's name in the mesh.
        type: str
        required: true
      tags:
        description: All of its tags, each one with an owner in the policy.
        type: list
        elements: str
        required: true
      routes:
        description: The routes that it may announce to the mesh.
        type: list
        elements: str
        default: []
      key:
        description: Its public node key, when it is known.
        type: str
        default: ""
  url:
    description: Where Headscale listens on the coordinator.
    type: str
    default: http://127.0.0.1:8080
  binary:
    description: The Headscale program, which makes the API key.
    type: path
    default: /usr/local/bin/headscale
  config:
    description: Headscale's configuration.
    type: path
    default: /etc/headscale/config.yaml
"""

EXAMPLES = r"""
- name: Tag the nodes
  wonder.mesh.headscale_node:
    nodes:
      - {name: mini-1, tags: ["tag:node", "tag:node-mini-1"]}
      - {name: router, tags: ["tag:node"], routes: ["192.168.1.0/24"]}
"""

RETURN = r"""
nodes:
  description: The wanted nodes as Headscale knows them.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The node's name.
      type: str
      sample: mini-1
    addresses:
      description: Its addresses in the mesh.
      type: list
      elements: str
      sample: ["100.64.0.1", "fd7a:115c:a1e0::1"]
    tags:
      description: Its tags.
      type: list
      elements: str
      sample: ["tag:node"]
    online:
      description: Whether it is connected to the coordinator.
      type: bool
      sample: true
unknown:
  description: The names of wanted nodes that have not joined.
  returned: success
  type: list
  elements: str
  sample: []
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wonder.mesh.plugins.module_utils._headscale import ARGUMENTS, Headscale, HeadscaleError

PATH = "/api/v1/node"


class Nodes:
    """The nodes of one Headscale, and what was (or would be) changed about them."""

    def __init__(self, headscale: Headscale, keys: set[str], check_mode: bool) -> None:
        self._headscale = headscale
        self._keys = keys  # of all wanted nodes
        self._check_mode = check_mode
        self._found: list[dict[str, t.Any]] = headscale.call("GET", PATH)["nodes"] if headscale.is_installed() else []
        self.diff: list[dict[str, str]] = []

    def find(self, wanted: dict[str, t.Any]) -> dict[str, t.Any] | None:
        """The node that is meant; one that was reinstalled takes over its old name first."""
        named = next((each for each in self._found if each["givenName"] == wanted["name"]), None)
        keyed = next((each for each in self._found if wanted["key"] and each["nodeKey"] == wanted["key"]), None)
        if keyed is None or keyed is named:
            return named
        if named is not None:
            self._remove_old(named)
        self._record(wanted["name"], f"name: {keyed['givenName']}\n", f"name: {wanted['name']}\n")
        self._write("POST", f"{PATH}/{keyed['id']}/rename/{wanted['name']}")
        return keyed

    def converge(self, node: dict[str, t.Any], wanted: dict[str, t.Any]) -> None:
        before, after = _text(node.get("tags"), node.get("approvedRoutes")), _text(wanted["tags"], wanted["routes"])
        if before == after:
            return
        self._record(wanted["name"], before, after)
        if sorted(node.get("tags") or []) != sorted(wanted["tags"]):
            self._write("POST", f"{PATH}/{node['id']}/tags", {"tags": sorted(wanted["tags"])})
        if sorted(node.get("approvedRoutes") or []) != sorted(wanted["routes"]):
            self._write("POST", f"{PATH}/{node['id']}/approve_routes", {"routes": sorted(wanted["routes"])})

    def _remove_old(self, node: dict[str, t.Any]) -> None:
        if node["nodeKey"] in self._keys:
            raise HeadscaleError(
                f"the node {node['givenName']} is another one of the wanted nodes; names were exchanged. "
                "Rename one of them with `headscale nodes rename`, and run again."
            )
        if node.get("online"):
            raise HeadscaleError(
                f"two machines are the node {node['givenName']}: one is connected, and another one has just joined. "
                "If one is a copy of the other, delete /var/lib/tailscale on the copy; otherwise rename one of them."
            )
        self._record(node["givenName"], "an offline node with another key\n", "")
        self._write("DELETE", f"{PATH}/{node['id']}")

    def _record(self, name: str, before: str, after: str) -> None:
        self.diff.append(
            {"before_header": f"node {name}", "after_header": f"node {name}", "before": before, "after": after}
        )

    def _write(self, method: str, path: str, body: dict[str, t.Any] | None = None) -> None:
        if not self._check_mode:
            self._headscale.call(method, path, body)


def _text(tags: list[str] | None, routes: list[str] | None) -> str:
    return f"tags: {', '.join(sorted(tags or []))}\nroutes: {', '.join(sorted(routes or []))}\n"


def converge(headscale: Headscale, wanted: list[dict[str, t.Any]], check_mode: bool) -> dict[str, t.Any]:
    """Compare and act; the module's result."""
    nodes = Nodes(headscale, {each["key"] for each in wanted} - {""}, check_mode)
    known, unknown = [], []
    for each in wanted:
        node = nodes.find(each)
        if node is None:
            unknown.append(each["name"])
            continue
        nodes.converge(node, each)
        known.append(
            {
                "name": each["name"],
                "addresses": node.get("ipAddresses") or [],
                "tags": sorted(each["tags"]),
                "online": bool(node.get("online")),
            }
        )
    return {"changed": bool(nodes.diff), "diff": nodes.diff, "nodes": known, "unknown": unknown}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "nodes": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "tags": {"type": "list", "elements": "str", "required": True},
                    "routes": {"type": "list", "elements": "str", "default": []},
                    "key": {"type": "str", "default": "", "no_log": False},
                },
            },
            **ARGUMENTS,
        },
        supports_check_mode=True,
    )
    os.umask(0o077)
    headscale = Headscale(module.run_command, module.params, may_write=not module.check_mode)
    try:
        result = converge(headscale, module.params["nodes"], module.check_mode)
    except HeadscaleError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
