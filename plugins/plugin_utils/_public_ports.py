# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Which ports of the gateways the services take, so that they want none that something else has there."""

from __future__ import annotations

import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._options import value_of
from ansible_collections.wonder.mesh.plugins.plugin_utils._ports import tcp_ports, tunnels, udp_ports
from ansible_collections.wonder.mesh.plugins.plugin_utils._service_entry import VARIABLE, port_range
from ansible_collections.wonder.mesh.plugins.plugin_utils._types import SSH_PORT
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems, port_number

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Host, Relay, Service

STREAMS = ("tcp", "udp", "tls")  # what the gateway passes on without looking into it


def check_public_ports(
    inventory: Inventory,
    hosts: dict[str, Host],
    services: list[Service],
    probe_port: int,
    problems: Problems,
    relays: Mapping[str, Relay],
) -> None:
    passed = [service for service in services if service["protocol"] in STREAMS]
    for gateway in inventory.groups["gateways"] if passed else ():
        if not hosts[gateway]["tun"]:
            _check_protocols(gateway, passed, problems)
        _check_names(gateway, passed, inventory, problems)
        busy = {"tcp": _tcp(gateway, inventory, hosts, probe_port, relays), "udp": _udp(gateway, inventory, hosts)}
        for service in services:
            for replica in service["replicas"]:
                if replica["node"] == gateway:
                    protocol = "udp" if service["protocol"] == "udp" else "tcp"
                    for port in range(replica["port"], replica["port"] + service["count"]):
                        busy[protocol].setdefault(port, f"the service {service['name']} of this node")
        for service in passed:
            taken = busy.get(service["protocol"], {})
            ports = range(service["public_port"], service["public_port"] + service["count"])
            clash = next((each for each in ports if each in taken), None)
            if clash is not None:
                where = f"{VARIABLE}.{service['name']}.public_port"
                reason = f"on the gateway {gateway} {taken[clash]} has port {clash}"
                fix = "Set public_port to one that is free on every gateway"
                node = service["replicas"][0]["node"]
                problems.add(node, where, port_range(service["public_port"], service["count"]), reason, fix)


def _check_protocols(gateway: str, passed: list[Service], problems: Problems) -> None:
    """Caddy's layer 4 dials by the host's own network and by no proxy, and no proxy of tailscaled knows UDP."""
    for service in passed:
        reason = f"the gateway {gateway} has no TUN device (tailscaled_tun), and its way into the mesh is for http only"
        fix = f"Use true for tailscaled_tun there, or take {gateway} out of gateways"
        where = f"{VARIABLE}.{service['name']}.protocol"
        problems.add(service["replicas"][0]["node"], where, service["protocol"], reason, fix)


def _check_names(gateway: str, passed: list[Service], inventory: Inventory, problems: Problems) -> None:
    """Caddy's layer 4 asks the host's own resolver and no other, and on a tailnet only that knows where nodes are."""
    if inventory.backend == "headscale" and value_of(inventory, gateway, "tailscaled_accept_dns") is False:
        reason = (
            f"the gateway finds nodes by name for {passed[0]['name']} ({passed[0]['protocol']}) by the host's resolver"
        )
        fix = "Use true on this gateway, or leave it out"
        problems.add(gateway, "tailscaled_accept_dns", False, reason, fix)


def _tcp(
    gateway: str, inventory: Inventory, hosts: dict[str, Host], probe_port: int, relays: Mapping[str, Relay]
) -> dict[int, str]:
    login = port_number(inventory.get(gateway, "ansible_port", Problems())) or SSH_PORT
    taken = {SSH_PORT: "SSH", login: "SSH", probe_port: "the probe (mesh_probe_port)"}
    taken |= {relays[gateway]["port"]: "derper"} if gateway in relays else {}
    return taken | tcp_ports(hosts[gateway])


def _udp(gateway: str, inventory: Inventory, hosts: dict[str, Host]) -> dict[int, str]:
    taken = udp_ports(hosts[gateway], inventory)
    return taken | {port: f"the mesh ({variable})" for variable, port, _ in tunnels(gateway, inventory)}
