# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Which ports of a host ours take, so that no two want the same one: the second would not start."""

from __future__ import annotations

import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._options import value_of
from ansible_collections.wonder.mesh.plugins.plugin_utils._types import STUN_PORT
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems, port_number
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_types import PORT

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Host, Relay, Service

TAILSCALED_PORT = 41641
WEB, HTTPS = (80, 443), 443
HEADSCALE = (8080, 9090)
PEER_RELAY_PORT = 40000
NTP = 123  # what most firewalls let out


def check_ports(
    inventory: Inventory,
    hosts: dict[str, Host],
    services: list[Service],
    probe_port: int,
    problems: Problems,
    relays: Mapping[str, Relay],
) -> None:
    for name, relay in relays.items():
        if relay["port"] in (taken := tcp_ports(hosts[name])):
            reason = f"{taken[relay['port']]} has this port there"
            problems.add(name, "derper_port", relay["port"], reason, "Remove it, and it is one that is free there")
    for name in inventory.groups["nodes"]:
        taken = tcp_ports(hosts[name]) | ({relays[name]["port"]: "derper"} if name in relays else {})
        if probe_port in taken:
            reason = f"on {name} {taken[probe_port]} has this port"
            problems.add("all", "mesh_probe_port", probe_port, reason, "Set it to a port that nothing has")
        busy = udp_ports(hosts[name], inventory)
        for variable, port, usual in tunnels(name, inventory):
            if busy.setdefault(port, variable) != variable:
                reason = f"{busy[port]} has this port there"
                problems.add(name, variable, port, reason, f"Set it to a free one, like {usual}")
        for service in services:
            theirs = busy if service["protocol"] == "udp" else taken
            for replica in service["replicas"] if theirs else ():
                ports = range(replica["port"], replica["port"] + service["count"])
                clash = next((each for each in ports if each in theirs), None) if replica["node"] == name else None
                if clash is not None:
                    where = f"mesh_services.{service['name']}.port"
                    reason = f"{theirs[clash]} has this port there"
                    problems.add(name, where, clash, reason, "Let the program listen on another one")


def tunnels(name: str, inventory: Inventory) -> list[tuple[str, int, int]]:
    """The UDP ports that the mesh itself takes, each with its variable and a port that is usual there."""
    if inventory.backend == "wireguard":
        extra = inventory.get(name, "wireguard_extra_ports", Problems())
        ports = [("wireguard_port", inventory.get(name, "wireguard_port", Problems()) or PORT, PORT)]
        ports += [("wireguard_extra_ports", each, NTP) for each in (extra if isinstance(extra, list) else ())]
        return [(variable, number, usual) for variable, each, usual in ports if (number := port_number(each))]
    relayed = value_of(inventory, name, "tailscaled_relay_port")
    ports = [("tailscaled_port", value_of(inventory, name, "tailscaled_port") or TAILSCALED_PORT, TAILSCALED_PORT)]
    return [*ports, *([("tailscaled_relay_port", relayed, PEER_RELAY_PORT)] if relayed else [])]


def tcp_ports(host: Host) -> dict[int, str]:
    """Ports of ours, without those that the services and the probe have."""
    taken: dict[int, str] = {}
    if {"coordinator", "gateways"} & set(host["groups"]):
        taken |= dict.fromkeys(WEB, "Caddy")
    if "coordinator" in host["groups"]:
        taken |= dict.fromkeys(HEADSCALE, "Headscale")
    if not host["tun"]:
        taken[host["proxy_port"]] = "the proxy into the mesh (tailscaled_proxy_port)"
    return taken


def udp_ports(host: Host, inventory: Inventory) -> dict[int, str]:
    taken: dict[int, str] = {}
    if {"coordinator", "gateways"} & set(host["groups"]):
        taken[HTTPS] = "Caddy"
    if inventory.groups["relays"]:
        taken |= {STUN_PORT: "derper"} if "relays" in host["groups"] else {}
    elif "coordinator" in host["groups"] and value_of(inventory, host["name"], "headscale_derp") is not False:
        taken[STUN_PORT] = "Headscale"
    return taken
