# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Whether gateways have and reach what decides who may come to a service.

The hash of a password is nothing to show, and what is there in its place may be the password itself.
"""

from __future__ import annotations

import re
import typing as t
import urllib.parse

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from ansible_collections.wonder.mesh.plugins.plugin_utils._service_access import USER, USERS
from ansible_collections.wonder.mesh.plugins.plugin_utils._service_entry import VARIABLE
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import HIDDEN, inside

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Host, Service
    from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems
    from ansible_collections.wonder.mesh.plugins.plugin_utils._world import World

BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}", re.ASCII)
COSTS = range(10, 16)  # below, guesses are cheap; above, each login takes seconds of the gateway's CPU


def check_users(inventory: Inventory, services: list[Service], problems: Problems) -> None:
    """Each gateway must know the hash of every user that a service names, and nothing but hashes."""
    named = {user: service["name"] for service in reversed(services) for user in service["access"]["basic_auth"]}
    for host in dict.fromkeys([*inventory.groups["gateways"], *inventory.groups["coordinator"]]):
        value = inventory.get(host, USERS, problems)
        if value is not None and not isinstance(value, dict):
            fix = f"Write it as a mapping, like {{alice: HASH}}. {_how('alice')}"
            problems.add(host, USERS, HIDDEN, "it must give each user a bcrypt hash", fix)
            continue
        users = value or {}
        for name, found in users.items():
            _check_user(host, name, found, problems)
        for name in sorted(set(named) - set(users)) if host in inventory.groups["gateways"] else ():
            reason = f"{named[name]} asks for this user, whom this gateway does not know"
            problems.add(host, f"{USERS}.{name}", None, reason, _how(name))


def _check_user(host: str, name: str, found: object, problems: Problems) -> None:
    if not USER.fullmatch(name):
        fix = "Use letters, digits, dots, dashes, underscores and @"
        problems.add(host, USERS, HIDDEN, "one of the users has no name that can be", fix)
        return
    match = BCRYPT.fullmatch(found) if isinstance(found, str) else None
    if match is None:
        problems.add(host, f"{USERS}.{name}", HIDDEN, "it is no bcrypt hash of a password", _how(name))
    elif int(match[1]) not in COSTS:
        reason = f"its cost is {int(match[1])}, and it must be {COSTS[0]} to {COSTS[-1]}"
        problems.add(host, f"{USERS}.{name}", HIDDEN, reason, _how(name))


def _how(name: str) -> str:
    return f"Set it to what `htpasswd -nB -C 12 {name}` prints behind the colon (it asks for the password)"


def check_forward_auth(
    services: list[Service], hosts: Mapping[str, Host], domain: str | None, problems: Problems
) -> None:
    """In the mesh a gateway reaches nothing but what is published."""
    published = {
        (each["dns"], port)
        for service in services
        if service["protocol"] != "udp"
        for each in service["replicas"]
        for port in range(each["port"], each["port"] + service["count"])
    }
    names = {host["dns"] for host in hosts.values() if "nodes" in host["groups"]}
    for service in services:
        forward = service["access"]["forward_auth"]
        if not forward or domain is None:
            continue
        parts = urllib.parse.urlsplit(forward["url"])
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        if not inside(host, domain) or (host, port) in published:
            continue
        node, where = service["replicas"][0]["node"], f"{VARIABLE}.{service['name']}.forward_auth.url"
        if host in names:
            reason = f"gateways may not reach port {port} there, which no service has"
            fix = "Publish the auth service in mesh_services of its node, with this port"
        else:
            reason, fix = "no node has this name", "Use the name of the node that has the auth service"
        problems.add(node, where, forward["url"], reason, fix)


def check_authorities(services: list[Service], world: World, problems: Problems) -> None:
    """The authorities whose clients may come."""
    for service in services:
        path = service["access"]["client_certificates"]
        if path:
            node, where = service["replicas"][0]["node"], f"{VARIABLE}.{service['name']}.client_certificates"
            for reason, fix in _wrong_authority(path, world):
                problems.add(node, where, path, reason, fix)


def _wrong_authority(path: str, world: World) -> list[tuple[str, str]]:
    name = "Name the file of the authority that signs your clients' certificates"
    try:
        certificates = x509.load_pem_x509_certificates(world.read_file(path))
    except OSError as exc:
        return [(f"the file cannot be read: {exc.strerror or exc}", "Name a file that is on the controller")]
    except (ValueError, UnsupportedAlgorithm):
        return [("the file holds no certificate in PEM", name)]
    wrong = []
    for each in certificates:
        subject = each.subject.rfc4514_string()
        if not _is_authority(each):
            wrong.append((f"{subject} is the certificate of no authority", name))
        if not each.not_valid_before_utc <= world.now <= each.not_valid_after_utc:
            ends = f"{each.not_valid_before_utc:%Y-%m-%d} to {each.not_valid_after_utc:%Y-%m-%d}"
            wrong.append((f"{subject} is valid from {ends} only", "Renew it, or correct the controller's clock"))
    return wrong


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False
