# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The checks of what hosts are called, and of how Ansible reaches them."""

from __future__ import annotations

import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._types import CONTROLLER, SSH_PORT
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import (
    as_json,
    dns_label,
    is_inner,
    port_number,
    printable,
)

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems

LOCALHOST = "localhost"


def check_hosts(inventory: Inventory, problems: Problems) -> None:
    _check_names(inventory, problems)
    _check_labels(inventory, problems)
    _check_connections(inventory, problems)


def _check_names(inventory: Inventory, problems: Problems) -> None:
    members = inventory.members()
    if not inventory.groups["strangers"] and CONTROLLER in members:
        reason = "without strangers the machine that runs Ansible is one, and this is its name in the proof"
        problems.add(CONTROLLER, "inventory name", CONTROLLER, reason, "Rename the host")
    for host in members:
        if host == LOCALHOST:
            reason = "Ansible calls the machine that it runs on by this name"
            problems.add(host, "inventory name", host, reason, "Rename the host, and give it ansible_connection: local")
        elif not printable(host) or len(host.split()) != 1:
            reason = "it must be one word"
            problems.add(host, "inventory name", host, reason, "Rename the host")


def _check_labels(inventory: Inventory, problems: Problems) -> None:
    taken: dict[str, str] = {}
    for node in inventory.groups["nodes"]:
        label = dns_label(node)
        if label is None:
            reason = "it gives no DNS label (letters, digits and dashes, at most 63)"
            problems.add(node, "inventory name", node, reason, "Rename the host")
        elif taken.setdefault(label, node) != node:
            reason = f"{taken[label]} gives the same DNS label, {label}"
            problems.add(node, "inventory name", node, reason, "Rename one of the two")


def _check_connections(inventory: Inventory, problems: Problems) -> None:
    """Two names for one machine would give it two identities in turn."""
    machines: dict[tuple[str, int, object], str] = {}
    for host in inventory.members():
        address = inventory.get(host, "ansible_host", problems)
        if address is None:
            continue
        if not isinstance(address, str) or not printable(address) or len(address.split()) != 1 or address[0] == "-":
            fix = "Set it to the address or the name that SSH reaches it by"
            problems.add(host, "ansible_host", address, "it is neither an address nor a name", fix)
            continue
        port = inventory.get(host, "ansible_port", problems)
        if port is not None and port_number(port) is None:
            fix = "Set it to the port of its SSH server, or remove it"
            problems.add(host, "ansible_port", port, "a port is a number from 1 to 65535", fix)
        # The networks of two homes may have the same addresses, and a port may lead through a router.
        home = as_json(inventory.hosts[host].get("mesh_home")) if is_inner(address) else None
        other = machines.setdefault((address.lower(), port_number(port) or SSH_PORT, home), host)
        if other != host:
            reason = f"{other} is reached by the same, so both would be one machine"
            problems.add(host, "ansible_host", address, reason, "Correct one of the two, or remove it")
