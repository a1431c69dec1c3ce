# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Whether the inventory lets one node reach a TCP port of another.

Written apart from the filter that makes the policy, so that the one checks the other.
"""

from __future__ import annotations

import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._plan import names
from ansible_collections.wonder.mesh.plugins.plugin_utils._types import SSH_PORT

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model


def permission(model: Model, source: str, target: str, port: int) -> str:
    """The variable that allows it: mesh_admins, mesh_services or mesh_grants; "" if nothing does."""
    if port == SSH_PORT and source in model["admins"]["nodes"]:
        return "mesh_admins"
    if source in model["gateways"] and any(
        replica["node"] == target and 0 <= port - replica["port"] < service["count"]
        for service in model["services"]
        if service["protocol"] != "udp"
        for replica in service["replicas"]
    ):
        return "mesh_services"
    for grant in model["grants"]:
        if (
            names(model, grant["from"], source)
            and names(model, grant["to"], target)
            and any(_holds(ports, port) for ports in grant["ports"])
        ):
            return "mesh_grants"
    return ""


def _holds(ports: str, port: int) -> bool:
    """Whether "tcp:22", "tcp:1-99" or "tcp:*" holds the TCP port."""
    protocol, _, numbers = ports.partition(":")
    if protocol != "tcp":
        return False
    if numbers == "*":
        return True
    low, _, high = numbers.partition("-")
    return int(low) <= port <= int(high or low)
