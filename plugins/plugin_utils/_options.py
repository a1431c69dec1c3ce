# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The variables of the roles, as their argument specs list them, checked for every host that will play the role.

The roles check their own arguments too, but one after the other, when others have changed something already; and
Ansible takes "no" for a boolean and 5 for a string, which templates do not.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import pathlib
import re
import typing as t

from ansible.module_utils.common.yaml import yaml_load

from ansible_collections.wonder.mesh.plugins.plugin_utils._values import HIDDEN, Problems, printable, several, shown

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"
# Which groups play which role, see playbooks/.
PLAYERS = {
    "headscale": ("coordinator",),
    "caddy": ("coordinator", "gateways"),
    "tailscaled": ("nodes",),
    "derper": ("relays",),
    "wireguard": ("nodes",),
    "probe": ("nodes",),
    "verify": ("nodes", "strangers"),
}
# Those that are played for one backend only.
BACKEND_OF = {"headscale": "headscale", "tailscaled": "headscale", "derper": "headscale", "wireguard": "wireguard"}
# These have checks of their own, which know more than a type.
CHECKED_ELSEWHERE = (
    "tailscaled_tun",
    "caddy_certificates",
    "caddy_users",
    "headscale_prefix_v4",
    "headscale_prefix_v6",
    "derper_certificate",
    "caddy_version",
    "derper_version",
    "headscale_version",
    "tailscaled_version",
    "caddy_program_source",
    "derper_program_source",
    "headscale_program_source",
    "tailscaled_program_source",
    "wireguard_version",
    "wireguard_program_source",
    "wireguard_topology",
    "wireguard_hubs",
    "wireguard_clients",
    "wireguard_prefix_v4",
    "wireguard_prefix_v6",
    "wireguard_preshared_keys",
    "wireguard_address_v4",
    "wireguard_address_v6",
    "wireguard_port",
    "wireguard_extra_ports",
    "wireguard_outbound_ports",
    "wireguard_endpoints",
    "wireguard_lan_address",
    "wireguard_routes",
    "wireguard_mtu",
)
TYPO = 0.85  # how alike a name must be to one of ours to be called a mistake: other names are the user's own
NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)  # what -e NAME=VALUE makes of a number
KINDS = {
    "str": "a text, in quotes if it looks like something else",
    "path": "a path",
    "int": "a whole number",
    "bool": "true or false",
    "list": "a list",
    "dict": "a mapping",
}


@dataclasses.dataclass(frozen=True)
class Option:
    """One variable of a role: its type, those of its elements, and what it may be, all as in the argument specs."""

    name: str
    role: str
    type: str
    elements: str
    choices: tuple[str, ...]
    secret: bool = False


@functools.cache
def options() -> Mapping[str, Option]:
    """All of them, by name."""
    found = {}
    for role in PLAYERS:
        spec = yaml_load((ROLES / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
        for name, each in spec["argument_specs"]["main"]["options"].items():
            elements, choices = each.get("elements", ""), tuple(each.get("choices", ()))
            found[name] = Option(name, role, each["type"], elements, choices, each.get("no_log", False))
    return found


@functools.cache
def meant(name: str) -> str:
    """The variable that this name is a typo of; none if it is one, or somebody else's."""
    if name in options() or not name.startswith(tuple(f"{role}_" for role in PLAYERS)):
        return ""
    return next(iter(difflib.get_close_matches(name, options(), n=1, cutoff=TYPO)), "")


def players(inventory: Inventory, role: str) -> list[str]:
    """The hosts that play the role, in inventory order; none if it is of another backend."""
    if BACKEND_OF.get(role, inventory.backend) != inventory.backend:
        return []
    return list(dict.fromkeys(host for group in PLAYERS[role] for host in inventory.groups[group]))


def check_options(inventory: Inventory, problems: Problems) -> None:
    _check_names(inventory, problems)
    for option in options().values():
        if option.name in CHECKED_ELSEWHERE:
            continue
        found: dict[tuple[str, str, str], list[str]] = {}
        for host in players(inventory, option.role):
            if option.name not in inventory.hosts[host]:
                continue
            value = inventory.get(host, option.name, problems)
            if value is None and inventory.hosts[host][option.name] is not None:
                continue  # a template that fails, which is noted
            if (wrong := mistake(option, value)) is not None:
                found.setdefault((shown(value), *wrong), []).append(host)
        for (_, reason, fix), hosts in found.items():
            value = HIDDEN if option.secret else inventory.hosts[hosts[0]][option.name]
            problems.add(several(hosts), option.name, value, reason, fix)


def value_of(inventory: Inventory, host: str, name: str) -> t.Any:
    """The value if it is set and of its type, numbers as such; else None, and what is wrong is noted elsewhere."""
    value = inventory.get(host, name, Problems())
    if value is None or mistake(options()[name], value) is not None:
        return None
    return int(value) if options()[name].type == "int" else value


def mistake(option: Option, value: object) -> tuple[str, str] | None:
    """Why the value is none for this option, and what to do; None if it is one."""
    if value is None:
        return "it is set to nothing", "Remove it to have its default"
    if not _is(option.type, value):
        return f"it must be {KINDS[option.type]}", f"Write it as {KINDS[option.type]}, or remove it"
    if option.choices and value not in option.choices:
        return "it is no choice", f"Use {', '.join(option.choices[:-1])} or {option.choices[-1]}"
    if option.elements and not all(_is(option.elements, each) for each in t.cast("list[object]", value)):
        kind = KINDS[option.elements]
        return f"each of the list must be {kind}", f"Write each as {kind}"
    return None


def _is(kind: str, value: object) -> bool:
    if kind in ("str", "path"):
        # What a text ends up in has lines: units, YAML, /etc/hosts, headers. No value of ours needs a second one.
        return isinstance(value, str) and printable(value) and (kind == "str" or bool(value))
    if kind == "int":
        number = isinstance(value, int) and not isinstance(value, bool)
        return number or (isinstance(value, str) and NUMBER.fullmatch(value) is not None)
    return isinstance(value, {"bool": bool, "list": list, "dict": dict}[kind])


def _check_names(inventory: Inventory, problems: Problems) -> None:
    """A variable that is nearly one of ours would be ignored without a word."""
    near: dict[str, list[str]] = {}
    for host, variables in inventory.hosts.items():
        for name in variables:
            if meant(name):
                near.setdefault(name, []).append(host)
    for name, hosts in near.items():
        value = HIDDEN if options()[meant(name)].secret else inventory.hosts[hosts[0]][name]
        problems.add(several(hosts), name, value, "there is no such variable", f"Rename it to {meant(name)}")
