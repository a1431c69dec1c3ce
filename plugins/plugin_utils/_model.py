# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The inventory made into the model, with every check across hosts: a mistake is found before the first change."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils import _inventory as settings
from ansible_collections.wonder.mesh.plugins.plugin_utils._access import read_admins, read_grants, read_groups
from ansible_collections.wonder.mesh.plugins.plugin_utils._acme import check_acme
from ansible_collections.wonder.mesh.plugins.plugin_utils._gateway_access import (
    check_authorities,
    check_forward_auth,
    check_users,
)
from ansible_collections.wonder.mesh.plugins.plugin_utils._hosts import check_hosts
from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
from ansible_collections.wonder.mesh.plugins.plugin_utils._oidc import check_oidc, check_oidc_file
from ansible_collections.wonder.mesh.plugins.plugin_utils._options import check_options, players, value_of
from ansible_collections.wonder.mesh.plugins.plugin_utils._pins import check_program_sources, check_versions
from ansible_collections.wonder.mesh.plugins.plugin_utils._ports import check_ports
from ansible_collections.wonder.mesh.plugins.plugin_utils._public_ports import check_public_ports
from ansible_collections.wonder.mesh.plugins.plugin_utils._relays import (
    check_relay_certificates,
    peer_relays,
    read_relays,
)
from ansible_collections.wonder.mesh.plugins.plugin_utils._services import check_probe_port, read_services
from ansible_collections.wonder.mesh.plugins.plugin_utils._settings import (
    check_agreement,
    check_settings,
    check_states,
)
from ansible_collections.wonder.mesh.plugins.plugin_utils._ssh import ssh_nodes
from ansible_collections.wonder.mesh.plugins.plugin_utils._types import INTERFACE, NATS, PROXY_PORT
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import (
    Problems,
    dns_label,
    dns_name,
    ip_address,
    printable,
)
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_mesh import read_mesh
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_plain import as_plain
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_registry import Registry
from ansible_collections.wonder.mesh.plugins.plugin_utils._world import World, look_outside

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Host, Model

NO_HOSTS = (
    "Name yours by -i, or put it into the private data dir of ansible-runner; "
    "inventory/example/hosts.yml is one to begin with"
)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Either a model or problems, one line each; and warnings in both cases."""

    model: Model | None
    problems: list[str]
    warnings: list[str]


def build_model(
    inventory: Inventory, world: World | None, registry: Registry | None = None, tailscale: Iterable[str] = ()
) -> Outcome:
    """Raises nothing, whatever the inventory holds. Without a world, nothing outside of it is looked at.

    registry: what is known of the nodes of a mesh on WireGuard. tailscale: hosts that have Tailscale besides.
    """
    problems = Problems()
    if not inventory.hosts:
        problems.add("the inventory", "hosts", [], "a mesh has hosts", NO_HOSTS)
        return Outcome(None, problems.lines, [])
    settings.check_variable_names(inventory, problems)
    domain = settings.read_domain(inventory, problems)
    backend = settings.read_backend(inventory, problems)
    probe_port = settings.read_probe_port(inventory, problems)
    dns_check = settings.read_choice(inventory, "mesh_dns_check", problems)
    settings.read_choice(inventory, "mesh_verify_paths", problems)
    result_file = settings.read_result_file(inventory, problems)
    settings.check_removal(inventory, problems)
    check_options(inventory, problems)
    check_settings(inventory, problems)
    check_acme(inventory, problems)
    check_oidc(inventory, problems)

    _check_groups(inventory, backend, problems)
    coordinator = next(iter(inventory.groups["coordinator"]), None)
    hosts = {host: _read_host(host, inventory, domain, problems) for host in inventory.members()}
    mesh = None
    if backend == "wireguard":
        mesh = read_mesh(inventory, hosts, registry or Registry(), problems, tailscale)
    check_hosts(inventory, problems)
    server = _read_server(coordinator, inventory, problems)
    if coordinator is not None:
        settings.check_prefixes(inventory, coordinator, problems)
        if domain is not None and server is not None:
            settings.check_domain(domain, server, coordinator, problems)

    labels = {name: host["label"] for name, host in hosts.items()}
    services = read_services(inventory, labels, domain, server, problems)
    check_probe_port(services, probe_port, problems)
    check_users(inventory, services, problems)
    check_forward_auth(services, hosts, domain, problems)
    relays = read_relays(inventory, hosts, problems)
    carriers = peer_relays(inventory, hosts, problems)
    check_ports(inventory, hosts, services, probe_port, problems, relays)
    check_public_ports(inventory, hosts, services, probe_port, problems, relays)
    groups = read_groups(inventory, problems)
    admins = read_admins(inventory, groups, problems)
    with_ssh = ssh_nodes(inventory, hosts, domain, admins, problems)
    grants = read_grants(inventory, {tag for host in hosts.values() for tag in host["tags"]}, groups, problems)
    warnings: list[str] = []
    if world is not None:
        check_states(inventory, problems)
        _check_result_file("all", "mesh_result_file", result_file, world, problems)
        for host in players(inventory, "verify"):
            own = value_of(inventory, host, "verify_result_file")
            _check_result_file(host, "verify_result_file", own, world, problems)
        check_versions(inventory, world.pinned, problems)
        check_program_sources(inventory, world.binaries, world.read_file, problems)
        check_relay_certificates(inventory, relays, world, problems)
        check_oidc_file(inventory, world, problems)
        check_authorities(services, world, problems)
        warnings = look_outside(inventory, coordinator, server, services, dns_check == "strict", world, problems)

    if problems.lines or domain is None:
        return Outcome(None, problems.lines, warnings)
    model: Model = {
        "domain": domain,
        "backend": backend,
        "probe_port": probe_port,
        "coordinator": coordinator or "",
        "server_url": f"https://{server}" if coordinator else "",
        "nodes": sorted(inventory.groups["nodes"]),
        "gateways": sorted(inventory.groups["gateways"]),
        "relays": sorted(inventory.groups["relays"]),
        "derp": relays,
        "peer_relays": carriers,
        "ssh_nodes": with_ssh,
        "strangers": sorted(inventory.groups["strangers"]),
        "hosts": {name: hosts[name] for name in sorted(hosts)},
        "services": services,
        "admins": admins,
        "groups": groups,
        "grants": grants,
        "wireguard": as_plain(mesh) if mesh is not None else {},
    }
    check_agreement(inventory, model, problems)
    return Outcome(None if problems.lines else model, problems.lines, warnings)


def _check_result_file(where: str, variable: str, path: str | None, world: World, problems: Problems) -> None:
    reason = world.why_unwritable(path) if path is not None else ""
    if reason:
        problems.add(where, variable, path, reason, "Name a file in a directory that there is")


def _check_groups(inventory: Inventory, backend: str, problems: Problems) -> None:
    groups = inventory.groups
    if backend == "wireguard":
        _check_unused(inventory, problems)
    elif len(groups["coordinator"]) != 1:
        reason = "a mesh has exactly one coordinator"
        problems.add("group coordinator", "hosts", groups["coordinator"], reason, "Put one public host into the group")
    if not groups["nodes"]:
        problems.add("group nodes", "hosts", [], "a mesh without nodes is none", "Put its members into the group nodes")
    for group in ("gateways", "relays"):
        for host in groups[group]:
            if host not in groups["nodes"]:
                reason = f"it is in {group} and not in nodes, but {group} are members too"
                problems.add(host, "groups", inventory.groups_of(host), reason, "Add it to the group nodes")
    for host in groups["strangers"]:
        others = [group for group in inventory.groups_of(host) if group != "strangers"]
        if others:
            reason = "a stranger is a machine of the internet that is not ours"
            problems.add(
                host, "groups", ["strangers", *others], reason, "Take it out of strangers, or out of the others"
            )


def _check_unused(inventory: Inventory, problems: Problems) -> None:
    """Groups whose programs plain WireGuard does without."""
    for group, what in (("coordinator", "control plane"), ("relays", "relay")):
        if inventory.groups[group]:
            reason = f"a mesh on plain WireGuard has no {what}"
            fix = "Empty the group; public nodes that pass on what others send are named in wireguard_hubs"
            problems.add(f"group {group}", "hosts", inventory.groups[group], reason, fix)


def _read_host(name: str, inventory: Inventory, domain: str | None, problems: Problems) -> Host:
    groups = inventory.groups_of(name)
    label = dns_label(name) or ""
    address = _read_address(name, groups, inventory, problems)
    nat = inventory.get(name, "mesh_nat", problems)
    if nat is not None and nat not in NATS:
        problems.add(name, "mesh_nat", nat, "there is no such kind", f"Use {', '.join(NATS)}")
    home = inventory.get(name, "mesh_home", problems)
    if isinstance(home, int) and not isinstance(home, bool):
        home = str(home)
    if home is not None and (not isinstance(home, str) or not home.strip() or not printable(home)):
        problems.add(name, "mesh_home", home, "it must be a name", "Set it to the name of the site, or leave it out")
    on_wireguard = inventory.backend == "wireguard"
    tun = True if on_wireguard else inventory.get(name, "tailscaled_tun", problems)
    if tun is not None and not isinstance(tun, bool):
        problems.add(name, "tailscaled_tun", tun, "it is neither true nor false", "Use true or false")
    tags = {"tag:node", f"tag:node-{label}"} if "nodes" in groups else set()
    if tags:
        tags |= {tag for group, tag in (("gateways", "tag:gateway"), ("relays", "tag:relay")) if group in groups}
    return {
        "name": name,
        "label": label,
        "dns": f"{label}.{domain}",
        "groups": groups,
        "public_address": address,
        "home": home,
        "nat": nat or ("public" if address else "auto"),
        "tun": tun is not False,
        "proxy_port": value_of(inventory, name, "tailscaled_proxy_port") or PROXY_PORT,
        "interface": (value_of(inventory, name, "wireguard_interface") or INTERFACE) if on_wireguard else "",
        "tags": sorted(tags),
    }


def _read_address(name: str, groups: list[str], inventory: Inventory, problems: Problems) -> str | None:
    value = inventory.get(name, "mesh_public_address", problems)
    if value is None:
        if "gateways" in groups and "coordinator" not in groups:
            reason = "a gateway takes traffic from the internet, so it needs an address there"
            problems.add(name, "mesh_public_address", None, reason, "Set it to the host's public address or name")
        return None
    address = ip_address(value)
    found = str(address) if address else dns_name(value)
    if found is None:
        fix = "Set it like 203.0.113.11 or edge.example.com"
        problems.add(name, "mesh_public_address", value, "it is neither an IP address nor a DNS name", fix)
    return found


def _read_server(coordinator: str | None, inventory: Inventory, problems: Problems) -> str | None:
    """The coordinator's public name, which is the host of Headscale's server_url."""
    if coordinator is None:
        return None
    value = inventory.get(coordinator, "mesh_public_address", problems)
    server = dns_name(value)
    if value is None or ip_address(value):
        reason = "nodes call the coordinator by an https URL, so it needs a DNS name"
        problems.add(coordinator, "mesh_public_address", value, reason, "Set it to a name, like hub.example.com")
    return server
