# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The part of the inventory that the model is made of, and the checks that look at single variables."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import ipaddress
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._options import options
from ansible_collections.wonder.mesh.plugins.plugin_utils._types import BACKENDS, GROUPS, PROBE_PORT, SSH_PORT
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import (
    Broken,
    Problems,
    as_json,
    dns_name,
    is_full_path,
    is_network,
    plain,
    port_number,
    several,
    shown,
)
from ansible_collections.wonder.mesh.plugins.plugin_utils._variables import VARIABLES

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# How Ansible reaches a host, as far as it tells two hosts apart.
CONNECTION = ("ansible_host", "ansible_port")
# What else is read besides mesh_*, and nothing but that.
OTHER_VARIABLES = (*options(), *CONNECTION)
LATER_BACKENDS = ("zerotier",)
REMOVE_DATA = (True, False, "true", "false", "yes", "no")  # -e mesh_remove_data=true gives a text
NEVER_GIVEN = ("the network", "broadcast")
NETWORKS = {
    "headscale_prefix_v4": ipaddress.ip_network("100.64.0.0/10"),
    "headscale_prefix_v6": ipaddress.ip_network("fd7a:115c:a1e0::/48"),
}


@dataclasses.dataclass(frozen=True)
class Inventory:
    """groups: our groups, each with its hosts in inventory order; hosts: the variables of every host there is."""

    groups: dict[str, list[str]]
    hosts: dict[str, dict[str, t.Any]]

    @classmethod
    def of(cls, groups: Mapping[str, Sequence[str]], hosts: Mapping[str, Mapping[str, object]]) -> Inventory:
        return cls(
            {group: [str(host) for host in groups.get(group, ())] for group in GROUPS},
            {
                str(host): {str(name): plain(value) for name, value in variables.items()}
                for host, variables in hosts.items()
            },
        )

    def members(self) -> list[str]:
        """All hosts that are in a group of ours, each once, in inventory order."""
        return list(dict.fromkeys(host for group in GROUPS for host in self.groups[group]))

    def groups_of(self, host: str) -> list[str]:
        return sorted(group for group in GROUPS if host in self.groups[group])

    def get(self, host: str, variable: str, problems: Problems) -> t.Any:
        """The variable's value; None if it is not set or, with a problem noted, cannot be had."""
        value = self.hosts.get(host, {}).get(variable)
        if isinstance(value, Broken):
            problems.add(host, variable, value, value.reason, "Correct the template, or what it refers to")
            return None
        return value

    def everywhere(self, variable: str, problems: Problems) -> t.Any:
        """A setting of the whole mesh: the one value that all hosts with it agree on."""
        found = {host: self.get(host, variable, problems) for host in self.members()}
        values = {as_json(value): (host, value) for host, value in reversed(found.items()) if value is not None}
        if len(values) > 1:
            (one, first), (other, second), *_ = reversed(values.values())
            problems.add(
                one, variable, first, f"{other} has {shown(second)}, but the mesh has one", "Set it once, for all hosts"
            )
        return next(reversed(values.values()))[1] if values else None

    @functools.cached_property
    def backend(self) -> str:
        """What carries the mesh; the first backend if the inventory says nothing that there is."""
        value = self.everywhere("mesh_backend", Problems())
        return value if isinstance(value, str) and value in BACKENDS else BACKENDS[0]


def check_variable_names(inventory: Inventory, problems: Problems) -> None:
    unknown: dict[str, list[str]] = {}
    for host, variables in inventory.hosts.items():
        for name in variables:
            if name.startswith("mesh_") and name not in VARIABLES:
                unknown.setdefault(name, []).append(host)
    for name, hosts in unknown.items():
        meant = difflib.get_close_matches(name, VARIABLES, n=1)
        fix = f"Rename it to {meant[0]}" if meant else f"Remove it; there are {', '.join(VARIABLES)}"
        value = inventory.hosts[hosts[0]][name]
        problems.add(several(hosts), name, value, "there is no such variable", fix)


def read_domain(inventory: Inventory, problems: Problems) -> str | None:
    value = inventory.everywhere("mesh_domain", problems)
    name = dns_name(value)
    if name is None:
        problems.add(
            "all", "mesh_domain", value, "it must be a DNS name", "Set it to a domain for nodes, like mesh.example.com"
        )
    return name


def check_domain(domain: str, server: str, coordinator: str, problems: Problems) -> None:
    """Headscale refuses a server_url in or at the domain of the nodes."""
    if server == domain or server.endswith(f".{domain}"):
        relation = "equal to" if server == domain else "a parent of"
        problems.add(
            coordinator,
            "mesh_domain",
            domain,
            f"it is {relation} the coordinator's name {server}, which nodes could then no longer find",
            f"Choose a domain beside it, like mesh.{server.partition('.')[2]}",
        )


def read_backend(inventory: Inventory, problems: Problems) -> str:
    value = inventory.everywhere("mesh_backend", problems)
    if value is None:
        value = BACKENDS[0]
    if isinstance(value, str) and value in LATER_BACKENDS:
        problems.add("all", "mesh_backend", value, f"{value} comes later", f"Use {' or '.join(BACKENDS)}")
    elif value not in BACKENDS:
        problems.add("all", "mesh_backend", value, "it is no backend that there is", f"Use {' or '.join(BACKENDS)}")
    return inventory.backend


def read_probe_port(inventory: Inventory, problems: Problems) -> int:
    value = inventory.everywhere("mesh_probe_port", problems)
    port = PROBE_PORT if value is None else port_number(value)
    if port is None or port == SSH_PORT:
        reason = "SSH has this port" if port == SSH_PORT else "a port is a number from 1 to 65535"
        problems.add("all", "mesh_probe_port", value, reason, f"Use a free port, like {PROBE_PORT}")
    return port or PROBE_PORT


def read_choice(inventory: Inventory, variable: str, problems: Problems) -> str:
    """A setting that is one of a few words; the first one is the default."""
    choices = VARIABLES[variable].choices
    value = inventory.everywhere(variable, problems)
    if value is None or value in choices:
        return value or choices[0]
    problems.add("all", variable, value, "it is no choice", f"Use {' or '.join(choices)}")
    return choices[0]


def check_removal(inventory: Inventory, problems: Problems) -> None:
    """Whether data go is no place for guesses."""
    for host in inventory.members():
        value = inventory.get(host, "mesh_remove_data", problems)
        if value is not None and not (isinstance(value, bool | str) and value in REMOVE_DATA):
            problems.add(host, "mesh_remove_data", value, "it is neither true nor false", "Use true or false")


def read_result_file(inventory: Inventory, problems: Problems) -> str | None:
    """Where the proof goes, if the inventory says so."""
    value = inventory.everywhere("mesh_result_file", problems)
    if value is None or value == "" or is_full_path(value):
        return value or None
    problems.add("all", "mesh_result_file", value, "it is no full path", "Name a file like /srv/mesh/result.json")
    return None


def check_prefixes(inventory: Inventory, coordinator: str, problems: Problems) -> None:
    for variable, bounds in NETWORKS.items():
        value = inventory.get(coordinator, variable, problems)
        if value is None:
            continue
        fix = f"Use {bounds} or a part of it"
        if not is_network(value):
            problems.add(coordinator, variable, value, "it is no network in the form address/length", fix)
            continue
        network = ipaddress.ip_network(value)
        if network.version != bounds.version or not network.subnet_of(t.cast("t.Any", bounds)):
            problems.add(coordinator, variable, value, f"Headscale gives addresses from {bounds} only", fix)
        elif network.num_addresses < len(inventory.groups["nodes"]) + len(NEVER_GIVEN):
            reason = f"it has not enough addresses for {len(inventory.groups['nodes'])} nodes"
            problems.add(coordinator, variable, value, reason, fix)
