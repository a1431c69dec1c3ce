# SPDX-License-Identifier: MIT
"""The inventory that a fleet hands to Ansible, and the SSH configuration that reaches its hosts.

All values are literal, since testinfra does not template. How a host is reached stands in one ssh_config, which
Ansible, testinfra and a person's own ssh share: strict host keys, and a ProxyCommand that enters the host's network
namespace.
"""

from __future__ import annotations

import shlex
import typing as t
from pathlib import Path

import yaml

if t.TYPE_CHECKING:
    from fleet.state import State
    from fleet.topology import Host, Topology

NSCAT = Path(__file__).resolve().with_name("nscat")
GROUPS = ("coordinator", "gateways", "relays", "nodes", "strangers")
CADDY = {"coordinator", "gateways"}  # the groups whose hosts run it
# The fleet judges paths strictly, and has no DNS: its names stand in its hosts' /etc/hosts.
FLEET = {"mesh_verify_paths": "strict", "mesh_dns_check": "warn"}


def inventory(topology: Topology, state: State) -> dict[str, t.Any]:
    """The whole inventory as data."""
    variables = {
        "ansible_user": topology.user,
        "ansible_ssh_common_args": f"-F {shlex.quote(str(state.ssh_config))}",
        "ansible_ssh_private_key_file": str(state.ssh_key),
        "ansible_control_path_dir": str(state.control),
        "ansible_python_interpreter": "/usr/bin/python3",
        **FLEET,
        **topology.variables,
    }
    groups: dict[str, t.Any] = {
        group: {"hosts": {host.name: {} for host in topology.in_group(group)}} for group in GROUPS
    }
    hosts = {host.name: host_variables(topology, state, host) for host in topology.hosts}
    return {"all": {"vars": variables, "hosts": hosts, "children": groups}}


def host_variables(topology: Topology, state: State, host: Host) -> dict[str, t.Any]:
    """The variables of one host: what it is to the mesh, then what the topology adds."""
    variables: dict[str, t.Any] = {"ansible_host": host.name}
    home = next((home for home in topology.homes if home.name == host.home), None)
    if home:
        variables |= {"mesh_home": home.name, "mesh_nat": home.nat}
        if topology.variables.get("mesh_backend") == "wireguard":
            variables["wireguard_lan_address"] = str(host.address)  # which ansible_host does not say here
    elif "strangers" not in host.groups:
        variables["mesh_public_address"] = topology.public_name(host)
    if host.services:
        variables["mesh_services"] = [dict(service) for service in host.services]
    if certificate_names(topology, host):
        where = {"certificate": certificate_path(state, host), "key": key_path(state, host)}
        pair = {key: str(path) for key, path in where.items()}
        if CADDY & set(host.groups):
            variables["caddy_certificates"] = [pair]
        if "relays" in host.groups and "derper_hostname" not in host.variables:
            variables["derper_certificate"] = pair
    return variables | host.variables


def certificate_names(topology: Topology, host: Host) -> list[str]:
    """The names that a host's Caddy and relay answer to; empty for a host without both."""
    if not {*CADDY, "relays"} & set(host.groups):
        return []
    return [topology.public_name(host), *(topology.web_names() if "gateways" in host.groups else [])]


def certificate_path(state: State, host: Host) -> Path:
    """Where the controller keeps a host's certificate."""
    return state.certificates / f"{host.name}.pem"


def key_path(state: State, host: Host) -> Path:
    """Where the controller keeps the key of a host's certificate."""
    return state.certificates / f"{host.name}.key"


def dump(data: dict[str, t.Any]) -> str:
    """An inventory as YAML."""
    return "---\n" + yaml.safe_dump(data, sort_keys=False, width=1000)


def ssh_config(topology: Topology, state: State) -> str:
    """The configuration for `ssh -F`; namespaces have the names of the machines."""
    common = {
        "User": topology.user,
        "IdentityFile": _quoted(state.ssh_key),
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "UserKnownHostsFile": _quoted(state.known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "CheckHostIP": "no",
        "ControlMaster": "auto",
        "ControlPersist": "300",
        "ControlPath": _quoted(state.control / "%C"),
        "ConnectTimeout": "15",
        "ServerAliveInterval": "15",
        "LogLevel": "ERROR",
    }
    lines = [f"ProxyCommand {shlex.quote(str(NSCAT)).replace('%', '%%')} {state.prefix}-%h 127.0.0.1 22"]
    lines += [f"{key} {value}" for key, value in common.items()]
    return f"Host {' '.join(host.name for host in topology.hosts)}\n" + "".join(f"  {line}\n" for line in lines)


def _quoted(path: Path) -> str:
    return f'"{path}"'
