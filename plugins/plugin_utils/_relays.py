# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The relays: where nodes find each one, what certificate it shows, and what of that cannot be."""

from __future__ import annotations

import typing as t
import zlib

from ansible_collections.wonder.mesh.plugins.module_utils._derp_map import NO_ADDRESS, REGIONS
from ansible_collections.wonder.mesh.plugins.plugin_utils._options import value_of
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import (
    Problems,
    dns_name,
    ip_address,
    port_number,
    several,
)
from ansible_collections.wonder.mesh.plugins.plugin_utils._world import check_pair

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Host, Relay
    from ansible_collections.wonder.mesh.plugins.plugin_utils._world import World

HTTPS, BESIDE_CADDY = 443, 8443
EXAMPLE = "203.0.113.12 or relay.example.com"


def read_relays(inventory: Inventory, hosts: Mapping[str, Host], problems: Problems) -> dict[str, Relay]:
    """By name, sorted. One that no node could find is left out, with a problem noted."""
    names = sorted(inventory.groups["relays"]) if inventory.backend == "headscale" else []
    numbers = regions(hosts[name]["label"] for name in names)
    found: dict[str, Relay] = {}
    taken: dict[tuple[str, int], str] = {}
    for name in names:
        relay = _read(inventory, hosts[name], numbers[hosts[name]["label"]], problems)
        if relay is None:
            continue
        found[name] = relay
        other = taken.setdefault((relay["hostname"], relay["port"]), name)
        if other != name:
            reason = f"{other} has the same port there, so both would be one relay"
            problems.add(name, "derper_hostname", relay["hostname"], reason, "Correct one of the two")
    _check_reach(hosts, found, problems)
    if not names and inventory.backend == "headscale":
        for name in inventory.groups["coordinator"]:
            if value_of(inventory, name, "headscale_derp") is False:
                reason = "without it nothing relays, and Headscale does not start without a relay"
                problems.add(name, "headscale_derp", False, reason, "Remove it, or put a public node into relays")
    return found


def regions(labels: Iterable[str]) -> dict[str, int]:
    """A number for each relay, one region each. It stays the same when other relays come or go, but for collisions."""
    numbers: dict[str, int] = {}
    for label in sorted(labels):
        number = zlib.crc32(label.encode()) % len(REGIONS)
        while REGIONS[number] in numbers.values() and len(numbers) < len(REGIONS):
            number = (number + 1) % len(REGIONS)
        numbers[label] = REGIONS[number]
    return numbers


def peer_relays(inventory: Inventory, hosts: Mapping[str, Host], problems: Problems) -> list[str]:
    """The nodes that carry the traffic of others on a UDP port of their own, sorted."""
    found = []
    for name in sorted(inventory.groups["nodes"]) if inventory.backend == "headscale" else ():
        port = value_of(inventory, name, "tailscaled_relay_port")
        if not port:
            continue
        found.append(name)
        if hosts[name]["public_address"] is None:
            reason = "two nodes meet at a peer relay only if both reach its port, so it needs a public address"
            fix = "Set its mesh_public_address, or remove tailscaled_relay_port"
            problems.add(name, "tailscaled_relay_port", port, reason, fix)
    return found


def check_relay_certificates(
    inventory: Inventory, relays: Mapping[str, Relay], world: World, problems: Problems
) -> None:
    """Of those that come from files."""
    for name, relay in relays.items():
        if relay["certificate"] == "given":
            pair = inventory.get(name, "derper_certificate", problems)
            check_pair(name, "derper_certificate", pair, [relay["hostname"]], world, problems)


def _read(inventory: Inventory, host: Host, region: int, problems: Problems) -> Relay | None:
    name, taken = host["name"], {"coordinator", "gateways"} & set(host["groups"])
    wanted = value_of(inventory, name, "derper_hostname") or None
    if wanted is not None and ip_address(wanted) is None and dns_name(wanted) is None:
        fix = f"Set it like {EXAMPLE}"
        problems.add(name, "derper_hostname", wanted, "it is neither an IP address nor a DNS name", fix)
        return None
    hostname = wanted or host["public_address"]
    if hostname is None:
        reason = "nodes of other homes must reach a relay, so it needs an address on the internet"
        problems.add(name, "mesh_public_address", None, reason, f"Set it like {EXAMPLE}, or take it out of relays")
        return None
    address = ip_address(hostname)
    port = value_of(inventory, name, "derper_port")
    if port is None or port_number(port) is None:  # the latter has a problem of its own
        port = BESIDE_CADDY if taken else HTTPS
    certificate = "self-made" if address else "acme"
    if _has_certificate(inventory, name, problems):
        certificate = "given"
    if certificate == "acme" and port != HTTPS:
        reason = f"a certificate for a name comes by ACME on port {HTTPS}, and this relay has {port}"
        fix = "Set derper_hostname to its public IP address, or name the files of a certificate in derper_certificate"
        problems.add(name, "derper_hostname", hostname, reason, fix)
    ipv4, ipv6 = (value_of(inventory, name, f"derper_{version}") or "" for version in ("ipv4", "ipv6"))
    if address is not None:
        ipv4, ipv6 = (str(address), NO_ADDRESS) if address.version == 4 else (NO_ADDRESS, str(address))
    return {
        "region": region,
        "hostname": str(address or hostname).lower(),
        "port": port,
        "ipv4": ipv4,
        "ipv6": ipv6,
        "certificate": certificate,
    }


def _has_certificate(inventory: Inventory, name: str, problems: Problems) -> bool:
    """Whether it comes from files on the controller; a value that names none has a problem noted."""
    value = inventory.get(name, "derper_certificate", problems)
    if value is None or value == {}:
        return False
    if (
        isinstance(value, dict)
        and value.keys() == {"certificate", "key"}
        and all(isinstance(path, str) and path for path in value.values())
    ):
        return True
    fix = "Write it as {certificate: FILE, key: FILE}, both on the controller, or remove it"
    problems.add(name, "derper_certificate", value, "it must name a certificate and its key, and nothing else", fix)
    return False


def _check_reach(hosts: Mapping[str, Host], relays: Mapping[str, Relay], problems: Problems) -> None:
    """A firewall that drops UDP lets out the web and little else."""
    ports = {relay["port"] for relay in relays.values()}
    blocked = [name for name, host in hosts.items() if host["nat"] == "udp-blocked" and "nodes" in host["groups"]]
    if relays and blocked and HTTPS not in ports:
        reason = f"{several(blocked)} can reach a relay on port {HTTPS} only, and no relay has it"
        fix = f"Add a relay on a host without Caddy, which then has port {HTTPS}"
        problems.add("group relays", "derper_port", sorted(ports), reason, fix)
