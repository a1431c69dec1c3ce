# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Which ports of a host ours take, so that no two want the same one: the second would not start."""

from __future__ import annotations

import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._options import value_of
from ansible_collections.wonder.mesh.plugins.plugin_utils._types import STUN_PORT

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Host, Service
    from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems

TAILSCALED_PORT = 41641
WEB, HTTPS = (80, 443), 443
HEADSCALE = (8080, 9090)


def check_ports(
    inventory: Inventory, hosts: dict[str, Host], services: list[Service], probe_port: int, problems: Problems
) -> None:
    for name in inventory.groups["nodes"]:
        taken = _tcp(hosts[name])
        if probe_port in taken:
            reason = f"on {name} {taken[probe_port]} has this port"
            problems.add("all", "mesh_probe_port", probe_port, reason, "Set it to a port that nothing has")
        for service in services:
            for replica in service["replicas"]:
                if replica["node"] == name and replica["port"] in taken:
                    where = f"mesh_services.{service['name']}.port"
                    reason = f"{taken[replica['port']]} has this port there"
                    problems.add(name, where, replica["port"], reason, "Let the program listen on another one")
        port = value_of(inventory, name, "tailscaled_port") or TAILSCALED_PORT
        if port in (busy := _udp(hosts[name], inventory)):
            reason = f"{busy[port]} has this port there"
            problems.add(name, "tailscaled_port", port, reason, f"Set it to a free one, like {TAILSCALED_PORT}")


def _tcp(host: Host) -> dict[int, str]:
    """Ports of ours, without those that the services and the probe have."""
    taken: dict[int, str] = {}
    if {"coordinator", "gateways"} & set(host["groups"]):
        taken |= dict.fromkeys(WEB, "Caddy")
    if "coordinator" in host["groups"]:
        taken |= dict.fromkeys(HEADSCALE, "Headscale")
    if not host["tun"]:
        taken[host["proxy_port"]] = "the proxy into the mesh (tailscaled_proxy_port)"
    return taken


def _udp(host: Host, inventory: Inventory) -> dict[int, str]:
    taken: dict[int, str] = {}
    if {"coordinator", "gateways"} & set(host["groups"]):
        taken[HTTPS] = "Caddy"
    if "coordinator" in host["groups"] and value_of(inventory, host["name"], "headscale_derp") is not False:
        taken[STUN_PORT] = "Headscale"
    return taken
