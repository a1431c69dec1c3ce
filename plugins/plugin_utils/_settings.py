# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""What the values of the roles' variables must mean, beyond their types, and where they must agree with the mesh."""

from __future__ import annotations

import re
import typing as t
import urllib.parse

from ansible_collections.wonder.mesh.plugins.module_utils._derp import CERTIFICATE_DAYS
from ansible_collections.wonder.mesh.plugins.module_utils._derp_map import NO_ADDRESS
from ansible_collections.wonder.mesh.plugins.module_utils._probe import RELAY_AFTER
from ansible_collections.wonder.mesh.plugins.plugin_utils._caddy import ADMIN
from ansible_collections.wonder.mesh.plugins.plugin_utils._options import PLAYERS, options, players, value_of
from ansible_collections.wonder.mesh.plugins.plugin_utils._types import INTERFACE, SSH_PORT
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import (
    DNS_LABEL,
    dns_name,
    ip_address,
    is_full_path,
    is_network,
    port_number,
    several,
    shown,
)

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Host, Model
    from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems

MAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,253}", re.ASCII)
INTERFACE_NAME = re.compile(r"[a-z][a-z0-9_]{0,14}", re.ASCII)
NODE_KEYS = frozenset({"name", "tags", "state", "routes", "key", "joins"})
Wrong = tuple[str, str] | None  # the reason and the fix
PORT: Wrong = ("a port is a number from 1 to 65535", "Set it to a free one, or remove it")


def check_settings(inventory: Inventory, problems: Problems) -> None:
    """Values that have the right type, and yet cannot be."""
    for name, rule in RULES.items():
        found: dict[tuple[str, str, str], list[str]] = {}
        for host in players(inventory, options()[name].role):
            value = value_of(inventory, host, name)
            if value is not None and (wrong := rule(value)) is not None:
                found.setdefault((shown(value), *wrong), []).append(host)
        for (_, reason, fix), hosts in found.items():
            problems.add(several(hosts), name, inventory.hosts[hosts[0]][name], reason, fix)


def check_agreement(inventory: Inventory, model: Model, problems: Problems) -> None:
    """What the mesh decides cannot be another thing for one role: names, tags and addresses have their one place."""
    for name, (made, source) in MADE.items():
        for host in players(inventory, options()[name].role):
            value, wanted = value_of(inventory, host, name), made(model, model["hosts"][host])
            same = sorted(value) == wanted if isinstance(value, list) else value == wanted
            if value is not None and not same:
                problems.add(host, name, value, f"the mesh has {shown(wanted)}, from {source}", "Remove it")
    labels = {model["hosts"][node]["label"]: node for node in model["nodes"]}
    for name in value_of(inventory, model["coordinator"], "headscale_removed_nodes") or []:
        if name in labels:
            reason = f"it is the node of {labels[name]}, which the inventory has"
            fix = "Take the host out of the inventory, or its name out of the list"
            problems.add(model["coordinator"], "headscale_removed_nodes", name, reason, fix)


def check_states(inventory: Inventory, problems: Problems) -> None:
    """Of a run that builds the mesh: without one of its daemons it cannot keep what it promises."""
    for role in PLAYERS:
        variable = f"{role}_state"
        for host in players(inventory, role) if variable in options() else ():
            value = value_of(inventory, host, variable)
            if value not in (None, "started"):
                reason = f"its groups need {role} there"
                fix = "Remove it, or take the host out of its groups; playbooks/remove.yml takes things away"
                problems.add(host, variable, value, reason, fix)


def _routes(value: list[str]) -> Wrong:
    for each in value:
        if not is_network(each):
            return f"{shown(each)} is no network in the form address/length", "Write each like 192.168.7.0/24"
        if each.endswith("/0"):
            return f"{each} would make it an exit node, which comes later", "Name the networks that it leads to"
    return ("it names a network twice", "Name each once") if len(set(value)) < len(value) else None


def _addresses(value: list[str]) -> Wrong:
    if not value or any(str(ip_address(each)) != each for each in value) or len(set(value)) < len(value):
        return "it must name addresses of the host, each once", "Write it like [100.64.0.1], or remove it"
    return None


def _policy(value: dict[str, t.Any]) -> Wrong:
    if {"grants", "acls"} & value.keys():
        return None
    return "without grants and acls it would allow everything", "Add grants: []"


def _configuration(value: dict[str, t.Any]) -> Wrong:
    admin = value.get("admin")
    if isinstance(admin, dict) and admin.get("listen") == ADMIN:
        return None
    return "Caddy is told of changes by its admin socket, which it does not have", f"Add admin: {{listen: {ADMIN}}}"


def _nodes(value: list[dict[str, t.Any]]) -> Wrong:
    for each in value:
        name, tags = each.get("name"), each.get("tags", [])
        if not isinstance(name, str) or not DNS_LABEL.fullmatch(name) or set(each) - NODE_KEYS:
            return "each needs the name of a node, and has tags, state, routes and key", "See the module headscale_node"
        if not isinstance(tags, list) or not all(isinstance(tag, str) and tag.startswith("tag:") for tag in tags):
            return "tags are a list of texts that begin with tag:", "Write them like [tag:node]"
    return None


def _removed(value: list[str]) -> Wrong:
    wrong = [each for each in value if not DNS_LABEL.fullmatch(each)]
    return (f"{shown(wrong[0])} is no name of a node", "Name it as the mesh has it") if wrong else None


def _is_https(value: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(value)
        host = parts.hostname or ""
        named = dns_name(host) is not None or ip_address(host) is not None
        return parts.scheme == "https" and named and "@" not in parts.netloc and (parts.port or 443) > 0
    except ValueError:
        return False


def _unless(right: bool, reason: str, fix: str) -> Wrong:
    return None if right else (reason, fix)


def _file(value: str) -> Wrong:
    return _unless(is_full_path(value), "it is no full path", "Name a file like /srv/mesh/registry.json, or remove it")


def _positive(value: int) -> Wrong:
    return _unless(value > 0, "it must be 1 or more, since without a limit anybody can fill the memory", "Remove it")


def _address_v4(value: str) -> bool:
    address = ip_address(value)
    return value == "" or (address is not None and address.version == 4)


RULES: dict[str, Callable[[t.Any], Wrong]] = {
    "caddy_acme_email": lambda each: _unless(
        each == "" or MAIL.fullmatch(each) is not None, "it is no mail address", "Set it like you@example.com"
    ),
    "caddy_acme_ca": lambda each: _unless(
        each == "" or (each.isascii() and " " not in each and _is_https(each)),
        "it is no https address", "Set it to the directory of an authority, like https://ca.example.com/acme/directory",
    ),
    "caddy_configuration": _configuration,
    "headscale_derp_ipv4": lambda each: _unless(
        _address_v4(each), "it is no IPv4 address", "Set it like 203.0.113.10, or remove it"
    ),
    "headscale_policy": _policy,
    "derper_port": lambda each: PORT if port_number(each) is None or each == SSH_PORT else None,
    "derper_ipv4": lambda each: _unless(
        _address_v4(each) or each == NO_ADDRESS, "it is no IPv4 address", "Set it like 203.0.113.12, or remove it"
    ),
    "derper_ipv6": lambda each: _unless(
        each in ("", NO_ADDRESS) or (":" in each and ip_address(each) is not None),
        "it is no IPv6 address", "Set it like 2001:db8::12, or remove it",
    ),
    "derper_acme_email": lambda each: _unless(
        each == "" or MAIL.fullmatch(each) is not None, "it is no mail address", "Set it like you@example.com"
    ),
    "derper_accept_limit": lambda each: _positive(each),
    "derper_accept_burst": lambda each: _positive(each),
    "derper_client_rate": lambda each: _unless(each >= 0, "it is below 0", "Set it to bytes per second, or remove it"),
    "derper_renew_days": lambda each: _unless(
        0 < each < CERTIFICATE_DAYS, f"it must be 1 to {CERTIFICATE_DAYS - 1} days", "Remove it, or set it to that"
    ),
    "tailscaled_relay_port": lambda each: PORT if each and port_number(each) is None else None,
    "headscale_nodes": _nodes,
    "headscale_removed_nodes": _removed,
    "tailscaled_port": lambda each: PORT if port_number(each) is None else None,
    # Where the proxy is needed there is no root, and only root gets the ports below 1024.
    "tailscaled_proxy_port": lambda each: _unless(
        (port_number(each) or 0) >= 1024, "without root the ports are those from 1024 to 65535", "Set it to a free one"
    ),
    "tailscaled_advertise_routes": _routes,
    "probe_addresses": _addresses,
    "wireguard_interface": lambda each: _unless(
        INTERFACE_NAME.fullmatch(each) is not None,
        "it is no name of an interface (a small letter, and at most 14 more, digits and underscores)",
        f"Set it like {INTERFACE}, or remove it",
    ),
    "wireguard_registry_file": _file,
    "wireguard_secret_file": _file,
    "verify_result_file": lambda each: _unless(
        is_full_path(each), "it is no full path", "Name a file like /srv/mesh/result.json"
    ),
    "verify_relay_after": lambda each: _unless(
        each in RELAY_AFTER, f"it must be {RELAY_AFTER[0]} to {RELAY_AFTER[-1]} seconds", "Remove it, or set it to that"
    ),
}  # fmt: skip

# Roles have these to be of use alone, in another playbook. In an inventory they say what is said already.
MADE: dict[str, tuple[Callable[[Model, Host], t.Any], str]] = {
    "headscale_server_url": (lambda model, _: model["server_url"], "the coordinator's mesh_public_address"),
    "headscale_base_domain": (lambda model, _: model["domain"], "mesh_domain"),
    "tailscaled_login_server": (lambda model, _: model["server_url"], "the coordinator's mesh_public_address"),
    "tailscaled_coordinator": (lambda model, _: model["coordinator"], "the group coordinator"),
    "tailscaled_hostname": (lambda _, host: host["label"], "the host's name"),
    "tailscaled_tags": (lambda _, host: host["tags"], "the host's groups"),
    "probe_port": (lambda model, _: model["probe_port"], "mesh_probe_port"),
}
