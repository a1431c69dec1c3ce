# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The WireGuard variables of one host, and those of the whole mesh, each judged by itself."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._access import PERSON
from ansible_collections.wonder.mesh.plugins.plugin_utils._types import NATS
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import (
    dns_label,
    dns_name,
    ip_address,
    is_inner,
    is_network,
    port_number,
    shown,
)
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_addresses import is_special, span
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_types import MTU, PORT, TOPOLOGIES, Node

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Host
    from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems

MTUS = range(576, 9001)  # what every IPv4 host takes whole, and the largest that networks carry
MTU_V6 = 1280
ENDPOINT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+)):([0-9]{1,5})", re.ASCII)
UNFORWARDED = {
    "cgnat": "a carrier's NAT forwards no port",
    "udp-blocked": "a home that blocks UDP forwards none",
}
CGNAT = span("100.64.0.0/10")


def read_topology(inventory: Inventory, problems: Problems) -> str:
    value = inventory.everywhere("wireguard_topology", problems)
    if value is not None and value not in TOPOLOGIES:
        problems.add("all", "wireguard_topology", value, "it is no choice", f"Use {', '.join(TOPOLOGIES)}")
        return TOPOLOGIES[0]
    return value or TOPOLOGIES[0]


def read_preshared(inventory: Inventory, problems: Problems) -> bool:
    value = inventory.everywhere("wireguard_preshared_keys", problems)
    if value is not None and not isinstance(value, bool):
        reason = "it is neither true nor false"
        problems.add("all", "wireguard_preshared_keys", value, reason, "Use true or false")
    return value is not False


def read_hubs(inventory: Inventory, problems: Problems) -> tuple[str, ...]:
    """By default the gateways, which have public addresses."""
    value = inventory.everywhere("wireguard_hubs", problems)
    nodes = set(inventory.groups["nodes"])
    if value is None:
        return tuple(host for host in inventory.groups["gateways"] if host in nodes)
    fix = "List inventory names of nodes, each once, the first choice first"
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        problems.add("all", "wireguard_hubs", value, "it is no list of names", fix)
        return ()
    for hub in value:
        if hub not in nodes:
            problems.add("all", "wireguard_hubs", value, f"{shown(hub)} is no node", fix)
    if len(set(value)) < len(value):
        problems.add("all", "wireguard_hubs", value, "it names a host twice", fix)
    return tuple(dict.fromkeys(hub for hub in value if hub in nodes))


def read_clients(inventory: Inventory, problems: Problems) -> dict[str, str]:
    """Machines that Ansible does not manage, each with the person whose it is, or ""; sorted."""
    value = inventory.everywhere("wireguard_clients", problems)
    clients: dict[str, str] = {}
    if value is None:
        return clients
    fix = "Write it as a list like [{name: phone, owner: alice@}]"
    if not isinstance(value, list):
        problems.add("all", "wireguard_clients", value, "it is no list", fix)
        return clients
    for each in value:
        entry = each if isinstance(each, dict) else {}
        name, owner = entry.get("name"), entry.get("owner", "")
        if not isinstance(name, str) or dns_label(name) != name or not entry.keys() <= {"name", "owner"}:
            reason = "each needs a name (small letters, digits and dashes), and has an owner"
            problems.add("all", "wireguard_clients", each, reason, fix)
        elif name in inventory.hosts or name in clients:
            problems.add("all", "wireguard_clients", name, "the name is taken", "Give it a name of its own")
        elif owner != "" and not (isinstance(owner, str) and PERSON.fullmatch(owner)):
            problems.add("all", "wireguard_clients", owner, "it is no person, like alice@ or alice@example.com", fix)
        else:
            clients[name] = owner
    return dict(sorted(clients.items()))


def read_node(host: Host, inventory: Inventory, ipv6: bool, problems: Problems) -> Node:
    """Without addresses and key. ipv6: whether the mesh has IPv6 addresses."""
    host = _sound(host)
    name, home, nat = host["name"], host["home"], host["nat"]
    port = _port(name, inventory, problems)
    extra = _ports(name, "wireguard_extra_ports", inventory, problems) or ()
    if port in extra:
        reason = "wireguard_port is among them"
        problems.add(name, "wireguard_extra_ports", list(extra), reason, "Name only the other ports")
    outbound = _ports(name, "wireguard_outbound_ports", inventory, problems)
    if nat == "udp-blocked" and outbound is None:
        outbound = ()
    return Node(
        name=name,
        addresses=(),
        public=nat == "public",
        home=home,
        endpoints=_endpoints(host, port, extra, inventory, problems),
        lan=_lan(name, home, inventory, problems),
        port=port,
        extra_ports=extra,
        outbound=outbound,
        routes=_routes(name, inventory, problems),
        mtu=_mtu(name, ipv6, inventory, problems),
    )


def _sound(host: Host) -> Host:
    """The model reports what is wrong with these, and hands it on."""
    home, nat = t.cast("object", host["home"]), t.cast("object", host["nat"])
    return {**host, "home": home if isinstance(home, str) else None, "nat": nat if nat in NATS else "auto"}


def _port(name: str, inventory: Inventory, problems: Problems) -> int:
    value = inventory.get(name, "wireguard_port", problems)
    port = PORT if value is None else port_number(value)
    if port is None:
        reason = "a port is a number from 1 to 65535"
        problems.add(name, "wireguard_port", value, reason, f"Set it to a free one, like {PORT}")
    return port or PORT


def _ports(name: str, variable: str, inventory: Inventory, problems: Problems) -> tuple[int, ...] | None:
    value = inventory.get(name, variable, problems)
    if value is None:
        return None
    ports = [port_number(each) for each in value] if isinstance(value, list) else [None]
    right = [port for port in ports if port is not None]
    if len(set(right)) < len(ports):
        problems.add(name, variable, value, "it is no list of UDP ports, each once", "Write it like [123]")
    return tuple(sorted(set(right)))


def _mtu(name: str, ipv6: bool, inventory: Inventory, problems: Problems) -> int:
    value = inventory.get(name, "wireguard_mtu", problems)
    if value is None:
        return MTU
    mtu = int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,5}", value, re.ASCII) else value
    if isinstance(mtu, bool) or not isinstance(mtu, int) or mtu not in MTUS:
        reason = f"it is no size from {MTUS[0]} to {MTUS[-1]}"
        problems.add(name, "wireguard_mtu", value, reason, "Set it to that of the network below minus 80, or remove it")
        return MTU
    if ipv6 and mtu < MTU_V6:
        fix = f"Use {MTU_V6} or more, or set wireguard_prefix_v6 to an empty text"
        problems.add(name, "wireguard_mtu", value, f"IPv6 needs {MTU_V6}, and the mesh has IPv6 addresses", fix)
    return mtu


def _endpoints(
    host: Host, port: int, extra: tuple[int, ...], inventory: Inventory, problems: Problems
) -> tuple[tuple[str, int], ...]:
    """Where the internet reaches it: as the inventory says, or at the ports of a public address."""
    name, variable = host["name"], "wireguard_endpoints"
    value = inventory.get(name, variable, problems)
    if value is None:
        address = host["public_address"] if host["nat"] == "public" else None
        if address is not None and not _reachable(address):
            reason = "no other host reaches such an address"
            problems.add(name, "mesh_public_address", address, reason, "Set it to its address on the internet")
        return tuple((address, each) for each in (port, *extra)) if address else ()
    if not isinstance(value, list):
        fix = "Write it like [home.example.net:51820]"
        problems.add(name, variable, value, "it is no list of addresses with ports", fix)
        return ()
    endpoints = [_endpoint(name, each, problems) for each in value]
    if value and host["nat"] in UNFORWARDED:
        reason = f"it is behind {host['nat']}, and {UNFORWARDED[host['nat']]}"
        problems.add(name, variable, value, reason, "Remove it, or correct mesh_nat")
    right = [each for each in endpoints if each is not None]
    if len(set(right)) < len(right):
        problems.add(name, variable, value, "it names an endpoint twice", "Name each once")
    return tuple(dict.fromkeys(right))


def _endpoint(name: str, value: object, problems: Problems) -> tuple[str, int] | None:
    variable, fix = "wireguard_endpoints", "Write it like home.example.net:51820 or [2001:db8::7]:51820"
    match = ENDPOINT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        lone = isinstance(value, str) and (dns_name(value) or ip_address(value.strip("[]")))
        problems.add(name, variable, value, "it has no port" if lone else "it is no address with a port", fix)
        return None
    address, port = ip_address(match[1] or match[2]), port_number(match[3])
    if match[1] and (address is None or address.version == 4):
        address, found = None, None
    else:
        found = str(address) if address else dns_name(match[2])
    if found is None or port is None:
        reason = "a port is a number from 1 to 65535" if found else "it names neither an address nor a DNS name"
        problems.add(name, variable, value, reason, fix)
        return None
    if not _reachable(found):
        problems.add(name, variable, value, "no other host reaches such an address", fix)
    return found, port


def _lan(name: str, home: str | None, inventory: Inventory, problems: Problems) -> str | None:
    """Its address at home: as the inventory says, or that at which Ansible reaches it, if it is one of a home."""
    value = inventory.get(name, "wireguard_lan_address", problems)
    if value is not None:
        address = ip_address(value)
        if address is None or not _reachable(str(address)):
            reason = "it is no address that others of its home reach"
            problems.add(name, "wireguard_lan_address", value, reason, "Write it like 192.168.1.11")
        elif home is None:
            reason = "only hosts of one home call each other there, and this one has none"
            problems.add(name, "wireguard_lan_address", value, reason, "Set mesh_home, or remove it")
        return str(address) if address else None
    value = inventory.hosts.get(name, {}).get("ansible_host") if home is not None else None
    address = ip_address(value) if is_inner(value) else None
    # 100.64.0.0/10 is most often another mesh, by which Ansible comes in.
    usable = address is not None and _reachable(str(address)) and not CGNAT.overlaps(span(str(address)))
    return str(address) if usable else None


def _reachable(address: str) -> bool:
    """Names are, for all we know."""
    return ip_address(address) is None or not is_special(span(address))


def _routes(name: str, inventory: Inventory, problems: Problems) -> tuple[str, ...]:
    variable, value = "wireguard_routes", inventory.get(name, "wireguard_routes", problems)
    if value is None:
        return ()
    fix = "Write it as a list like [192.168.7.0/24]"
    if not isinstance(value, list):
        problems.add(name, variable, value, "it is no list of networks", fix)
        return ()
    routes = []
    for each in value:
        if not is_network(each):
            problems.add(name, variable, each, "it is no network in the form address/length", fix)
        elif each.endswith("/0"):
            reason = "it would take all traffic of the other nodes, which comes later"
            problems.add(name, variable, each, reason, "Name the networks of its home")
        elif is_special(span(each)):
            problems.add(name, variable, each, "some of its addresses have another meaning", fix)
        else:
            routes.append(str(each))
    return tuple(routes)
