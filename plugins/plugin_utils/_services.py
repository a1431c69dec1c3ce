# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""mesh_services of all nodes, read and put together.

Entries equal in name, protocol and what the internet asks for (host and path, or the public port) are replicas of one
service.
"""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._service_entry import (
    EXAMPLE,
    VARIABLE,
    port_range,
    read_entry,
)
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import inside, shown

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._service_entry import Entry
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Service
    from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems


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
    _check_names(entries, problems)
    _check_overlaps(entries, problems)
    return _together(entries, labels, domain, problems)


def check_probe_port(services: list[Service], probe_port: int, problems: Problems) -> None:
    for service in services:
        for replica in service["replicas"]:
            if service["protocol"] != "udp" and probe_port in range(
                replica["port"], replica["port"] + service["count"]
            ):
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
    entries: dict[tuple[t.Any, ...], Entry] = {}
    for number, item in enumerate(value):
        entry = read_entry(node, f"{VARIABLE}[{number}]", item, problems)
        if entry is None:
            continue
        if (entry.name, entry.place) in entries:
            fix = "Keep one of the two; replicas of a service are on different nodes"
            problems.add(node, f"{VARIABLE}[{number}]", entry.name, "this node has this service twice", fix)
            continue
        entries[entry.name, entry.place] = entry
    return list(entries.values())


def _check_host(entry: Entry, domain: str | None, server: str | None, problems: Problems) -> None:
    if not entry.host:
        return
    if entry.host == server and entry.protocol in ("http", "tls"):
        reason = "it is the coordinator's own name, which has the control plane"
    elif domain is not None and inside(entry.host, domain):
        reason = f"it is inside mesh_domain ({domain}), whose names belong to nodes"
    else:
        return
    fix = "Use another name, like a sibling of the coordinator's"
    problems.add(entry.node, f"{VARIABLE}.host", entry.host, reason, fix)


def _check_names(entries: list[Entry], problems: Problems) -> None:
    """A name that is passed on as TLS reaches its node whole, so nothing else can be served under it."""
    passed = {entry.host: entry for entry in reversed(entries) if entry.protocol == "tls"}
    for entry in entries:
        if entry.protocol == "http" and entry.host in passed:
            other = passed[entry.host]
            reason = f"{other.node} has the tls service {other.name} under this name, which it gets whole"
            fix = "Give one of them another host"
            problems.add(entry.node, f"{VARIABLE}.{entry.name}.host", entry.host, reason, fix)
    certified: dict[str, Entry] = {}
    for entry in entries:
        first = certified.setdefault(entry.host, entry) if entry.protocol == "http" else entry
        for key, here, there in (
            ("certificate", entry.certificate, first.certificate),
            # A client shows its own before it says what it wants of the name.
            ("client_certificates", entry.access["client_certificates"], first.access["client_certificates"]),
        ):
            if here != there:
                reason = f"{first.node} has {there or 'none'} for {first.name} under the same name, {entry.host}"
                fix = f"Give all services of a name the same {key}"
                problems.add(entry.node, f"{VARIABLE}.{entry.name}.{key}", here or None, reason, fix)


def _check_overlaps(entries: list[Entry], problems: Problems) -> None:
    """Ranges of public ports that share a port without being the same; the same are replicas, or two of a place."""
    streams = [entry for entry in entries if entry.protocol in ("tcp", "udp")]
    for one, other in itertools.combinations(streams, 2):
        first, second = sorted((one, other), key=lambda entry: entry.public_port)
        apart = first.public_port + first.count <= second.public_port
        same = (one.public_port, one.count) == (other.public_port, other.count)
        if one.protocol == other.protocol and not apart and not same:
            found = port_range(other.public_port, other.count)
            reason = f"{one.node} has {one.said} for {one.name}"
            fix = "Give one of them another public_port"
            problems.add(other.node, f"{VARIABLE}.{other.name}.public_port", found, reason, fix)


def _together(entries: list[Entry], labels: dict[str, str], domain: str | None, problems: Problems) -> list[Service]:
    first_at: dict[tuple[t.Any, ...], Entry] = {}
    first_named: dict[str, Entry] = {}
    services: dict[tuple[t.Any, ...], Service] = {}
    for entry in entries:
        same_place = first_at.setdefault(entry.place, entry)
        same_name = first_named.setdefault(entry.name, entry)
        where = f"{VARIABLE}.{entry.name}"
        if same_place.name != entry.name or same_place.path != entry.path:
            reason = f"{same_place.node} has another service there, {same_place.name}"
            fix = f"Give one of them another {_of_place(entry)}, or both the same name if they are replicas"
            problems.add(entry.node, where, entry.said, reason, fix)
        elif (same_name.said, same_name.protocol) != (entry.said, entry.protocol):
            reason = f"{same_name.node} has a service of this name at {same_name.said}"
            fix = f"Give one of them another name, or both the same {_of_place(entry)} if they are replicas"
            problems.add(entry.node, where, entry.said, reason, fix)
        else:
            _check_replica(entry, same_place, where, problems)
        service = services.setdefault(
            entry.place,
            {"name": entry.name, "host": entry.host, "path": entry.path, "protocol": entry.protocol,
             "health": entry.health, "public_port": entry.public_port, "count": entry.count,
             "proxy_protocol": entry.proxy_protocol, "certificate": entry.certificate, "access": entry.access,
             "replicas": []},
        )  # fmt: skip
        dns = f"{labels.get(entry.node)}.{domain}"
        service["replicas"].append({"node": entry.node, "dns": dns, "port": entry.port})
    return [services[place] for place in sorted(services)]


def _of_place(entry: Entry) -> str:
    return {"http": "host or path", "tls": "host"}.get(entry.protocol, "public_port")


def _check_replica(entry: Entry, first: Entry, where: str, problems: Problems) -> None:
    """What all replicas of a service must say alike."""
    if entry.protocol == "udp" and entry is not first:
        reason = f"{first.node} has it too, and over UDP a gateway cannot tell which of them is there"
        fix = "Keep one of the two, or give each a name and a public_port of its own"
        problems.add(entry.node, where, entry.said, reason, fix)
    for key, fix in (
        ("health", "Give all replicas the same health"),
        ("proxy_protocol", "Give all replicas the same proxy_protocol"),
        ("host", "Give all replicas the same host"),
    ):
        here, there = getattr(entry, key), getattr(first, key)
        if here != there:
            reason = f"the replica on {first.node} has {there or 'none'}"
            problems.add(entry.node, f"{where}.{key}", here, reason, fix)
    mine, others = t.cast("dict[str, t.Any]", entry.access), t.cast("dict[str, t.Any]", first.access)
    for key in sorted(key for key in mine if mine[key] != others[key]):
        reason = f"the replica on {first.node} has {shown(others[key] or None)}"
        problems.add(entry.node, f"{where}.{key}", mine[key] or None, reason, f"Give all replicas the same {key}")
