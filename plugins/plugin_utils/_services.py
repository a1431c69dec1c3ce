# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""mesh_services of all nodes, read and put together.

Entries equal in name, host and path are replicas of one service.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._types import SSH_PORT
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import dns_name, inside, port_number

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Service
    from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems

VARIABLE = "mesh_services"
KEYS = ("name", "port", "host", "path", "protocol", "health")
LATER_PROTOCOLS = ("tcp", "udp", "tls")
EXAMPLE = "{name: hello, port: 8000, host: hello.example.com}"
# As in URLs; longer ones meet somebody's limit on the way.
PATH_LENGTH, HEALTH_LENGTH = 255, 1024
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
# No braces, stars or dots-only segments: Caddy would read them as placeholders and patterns.
PATH = re.compile(r"/|(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+/?", re.ASCII)
# One that begins with two slashes names another host, and a percent sign begins two hexadecimal digits.
HEALTH = re.compile(r"/(?!/)(?:[A-Za-z0-9._~/?=&+,;:@!-]|%[0-9A-Fa-f]{2})*", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One valid entry of one node."""

    node: str
    name: str
    port: int
    host: str
    path: str
    protocol: str
    health: str


def read_services(
    inventory: Inventory, labels: dict[str, str], domain: str | None, server: str | None, problems: Problems
) -> list[Service]:
    """All services, sorted by host and path; their replicas stay in inventory order, which is the preference.

    labels: the DNS label of each node. server: the coordinator's public name.
    """
    entries: list[Entry] = []
    for host in inventory.hosts:
        value = inventory.get(host, VARIABLE, problems)
        if value is not None and host not in inventory.groups["nodes"]:
            problems.add(host, VARIABLE, value, "it is no node, so it serves nothing", "Add it to the group nodes")
    for node in inventory.groups["nodes"]:
        entries += _of_node(node, inventory.get(node, VARIABLE, problems), problems)
    for entry in entries:
        _check_host(entry, domain, server, problems)
    if entries and not inventory.groups["gateways"]:
        problems.add(
            "group gateways", VARIABLE, None, f"{entries[0].node} has services and no gateway takes traffic for them",
            "Add a public host to the group gateways",
        )  # fmt: skip
    return _together(entries, labels, domain, problems)


def check_probe_port(services: list[Service], probe_port: int, problems: Problems) -> None:
    for service in services:
        for replica in service["replicas"]:
            if replica["port"] == probe_port:
                problems.add(
                    replica["node"], "mesh_probe_port", probe_port, f"the service {service['name']} has this port",
                    "Set mesh_probe_port to a port that no service has",
                )  # fmt: skip


def _of_node(node: str, value: t.Any, problems: Problems) -> list[Entry]:
    if value is None:
        return []
    if not isinstance(value, list):
        problems.add(node, VARIABLE, value, "it must be a list", f"Write it as a list of {EXAMPLE}")
        return []
    entries: list[Entry] = []
    for number, item in enumerate(value):
        entry = _entry(node, f"{VARIABLE}[{number}]", item, problems)
        if entry is None:
            continue
        if any((entry.name, entry.host, entry.path) == (each.name, each.host, each.path) for each in entries):
            fix = "Keep one of the two; replicas of a service are on different nodes"
            problems.add(node, f"{VARIABLE}[{number}]", entry.name, "this node has this service twice", fix)
            continue
        entries.append(entry)
    return entries


def _entry(node: str, where: str, item: t.Any, problems: Problems) -> Entry | None:
    """The entry, or None with everything noted that is wrong with it."""
    before = len(problems.lines)
    if not isinstance(item, dict):
        problems.add(node, where, item, "a service is a mapping", f"Write it as {EXAMPLE}")
        return None
    for key in sorted(set(item) - set(KEYS)):
        problems.add(node, f"{where}.{key}", item[key], "a service has no such key", f"Use {', '.join(KEYS)}")
    for key in ("name", "port", "host"):
        if item.get(key) is None:
            problems.add(node, f"{where}.{key}", None, f"a service needs a {key}", f"Write it as {EXAMPLE}")

    def text(key: str, default: str | None, pattern: re.Pattern[str], reason: str, fix: str, length: int = 63) -> str:
        value = default if item.get(key) is None else item[key]
        if value is None:
            return ""
        if not isinstance(value, str) or not pattern.fullmatch(value) or len(value) > length:
            reason = f"it is longer than {length}" if isinstance(value, str) and len(value) > length else reason
            problems.add(node, f"{where}.{key}", value, reason, fix)
            return ""
        return value

    name = text("name", None, NAME, "it is no name", "Use letters, digits, dots, dashes and underscores")
    path = text(
        "path", "/", PATH, "a path starts with / and is plain", "Write it like /blog, or leave it out", PATH_LENGTH
    )
    health = text(
        "health", "/", HEALTH, "a health path starts with / and is plain", "Write it like /healthz", HEALTH_LENGTH
    )
    port, host = port_number(item.get("port")), dns_name(item.get("host"))
    if item.get("port") is not None and (port is None or port == SSH_PORT):
        reason = "SSH has this port" if port else "a port is a number from 1 to 65535"
        problems.add(node, f"{where}.port", item["port"], reason, "Set it to the port the program listens on")
    if item.get("host") is not None and host is None:
        fix = "Set it to the name that the internet calls, like hello.example.com"
        problems.add(node, f"{where}.host", item["host"], "it must be a DNS name", fix)
    protocol = "http" if item.get("protocol") is None else item["protocol"]
    if protocol != "http":
        later = isinstance(protocol, str) and protocol in LATER_PROTOCOLS
        reason = f"{protocol} comes later" if later else "there is no such protocol"
        problems.add(node, f"{where}.protocol", protocol, reason, "Use http, or leave it out")
    if len(problems.lines) > before or port is None or host is None:
        return None
    return Entry(node, name, port, host, path.rstrip("/") or "/", protocol, health)


def _check_host(entry: Entry, domain: str | None, server: str | None, problems: Problems) -> None:
    if entry.host == server:
        reason = "it is the coordinator's own name, which has the control plane"
    elif domain is not None and inside(entry.host, domain):
        reason = f"it is inside mesh_domain ({domain}), whose names belong to nodes"
    else:
        return
    fix = "Use another name, like a sibling of the coordinator's"
    problems.add(entry.node, f"{VARIABLE}.host", entry.host, reason, fix)


def _together(entries: list[Entry], labels: dict[str, str], domain: str | None, problems: Problems) -> list[Service]:
    first_at: dict[tuple[str, str], Entry] = {}
    first_named: dict[str, Entry] = {}
    services: dict[tuple[str, str], Service] = {}
    for entry in entries:
        place = (entry.host, entry.path.lower())  # Caddy does not tell capitals in a path
        same_place = first_at.setdefault(place, entry)
        same_name = first_named.setdefault(entry.name, entry)
        where = f"{VARIABLE}.{entry.name}"
        if same_place.name != entry.name or same_place.path != entry.path:
            reason = f"{same_place.node} has another service there, {same_place.name}"
            fix = "Give one of them another host or path, or both the same name if they are replicas"
            problems.add(entry.node, where, f"{entry.host}{entry.path}", reason, fix)
        elif same_name.host != entry.host or same_name.path != entry.path:
            reason = f"{same_name.node} has a service of this name at {same_name.host}{same_name.path}"
            fix = "Give one of them another name, or both the same host and path if they are replicas"
            problems.add(entry.node, where, f"{entry.host}{entry.path}", reason, fix)
        elif same_place.health != entry.health:
            reason = f"the replica on {same_place.node} has {same_place.health}"
            problems.add(entry.node, f"{where}.health", entry.health, reason, "Give all replicas the same health path")
        service = services.setdefault(
            place,
            {"name": entry.name, "host": entry.host, "path": entry.path, "protocol": entry.protocol,
             "health": entry.health, "replicas": []},
        )  # fmt: skip
        dns = f"{labels.get(entry.node)}.{domain}"
        service["replicas"].append({"node": entry.node, "dns": dns, "port": entry.port})
    return [services[place] for place in sorted(services)]
