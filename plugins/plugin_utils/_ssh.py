# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The nodes whose tailscaled answers SSH in the place of sshd, and where that cannot be."""

from __future__ import annotations

import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._options import value_of
from ansible_collections.wonder.mesh.plugins.plugin_utils._trial import is_in_mesh

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Admins, Host
    from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems

VARIABLE = "tailscaled_ssh"


def ssh_nodes(
    inventory: Inventory, hosts: Mapping[str, Host], domain: str | None, admins: Admins, problems: Problems
) -> list[str]:
    """Their names, sorted."""
    found = []
    for name in sorted(inventory.groups["nodes"]) if inventory.backend == "headscale" else ():
        if not value_of(inventory, name, VARIABLE):
            continue
        found.append(name)
        reached = {"ansible_host": inventory.get(name, "ansible_host", problems), "inventory_hostname": name}
        if not hosts[name]["tun"]:
            reason = "without TUN tailscaled runs without root, and could let people in as nobody but itself"
            problems.add(name, VARIABLE, True, reason, "Remove it, or tailscaled_tun")
        elif not (admins["nodes"] or admins["people"]):
            reason = "it lets in who is in mesh_admins, and nobody is"
            problems.add(name, VARIABLE, True, reason, "Name somebody in mesh_admins, or remove it")
        elif is_in_mesh({**reached, "mesh_domain": domain}, resolve=lambda _name: ""):
            reason = (
                f"this run reaches the host through the mesh ({reached['ansible_host'] or name}), where it cuts sshd"
            )
            fix = "Set ansible_host to an address outside of the mesh, or remove it"
            problems.add(name, VARIABLE, True, reason, fix)
    return found
