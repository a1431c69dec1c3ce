# SPDX-License-Identifier: MIT

"""All of ``mesh_leave``: the coordinator is asked to take the node out, and the host itself is not called."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.wonder.mesh.plugins.plugin_utils._delegate import run_module_on

NODES = "wonder.mesh.headscale_node"
# Headscale gives addresses from these and from no others.
MESH = tuple(ipaddress.ip_network(each) for each in ("100.64.0.0/10", "fd7a:115c:a1e0::/48"))
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "hostname": {"type": "str", "required": True},
    "coordinator": {"type": "str", "required": True},
    "domain": {"type": "str", "required": True},
    "forget": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        variables = task_vars or {}
        address = str(variables.get("ansible_host") or variables.get("inventory_hostname"))
        if is_in_mesh(address, arguments["domain"]):
            raise AnsibleActionFail(
                f"Ansible reaches this host as {address}, through the mesh, and would cut itself off half-way. "
                "Give it an ansible_host outside the mesh for this run, or run from the host's own network."
            )
        node = {"name": arguments["hostname"], "state": "absent" if arguments["forget"] else "expired"}
        try:
            answer = run_module_on(self, arguments["coordinator"], NODES, {"nodes": [node]}, variables)
        except AnsibleConnectionFailure as exc:
            answer = {"failed": True, "msg": str(exc)}
        if answer.get("failed") or answer.get("unreachable"):
            return result | {"changed": False, "warnings": [_stays(arguments, str(answer.get("msg") or "no reason"))]}
        return result | {"changed": answer["changed"], "diff": answer["diff"]}


def is_in_mesh(address: str, domain: str) -> bool:
    """Whether the controller comes to this address, or name, through the mesh."""
    try:
        literal = ipaddress.ip_address(address)
    except ValueError:
        return address.rstrip(".").lower().endswith(f".{domain}")
    return any(literal in network for network in MESH if network.version == literal.version)


def _stays(arguments: dict[str, t.Any], reason: str) -> str:
    name = arguments["hostname"]
    return (
        f"{name} is still a node for the coordinator {arguments['coordinator']}, which could not be asked, and its "
        f"removal goes on. If the coordinator comes back, run this once more. The reason: {reason}"
    )
