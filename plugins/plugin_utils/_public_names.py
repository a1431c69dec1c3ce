# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The public names of hosts and services, and whether DNS leads to where they must lead."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._values import dns_name, ip_address, is_inner

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems
    from ansible_collections.wonder.mesh.plugins.plugin_utils._world import World

GATEWAYS = "group gateways"  # where the name of a service leads: to any of them


@dataclasses.dataclass(frozen=True)
class Name:
    """A public name, the host or group it must lead to, and the addresses of that; none if they are not known."""

    name: str
    where: str
    variable: str
    addresses: frozenset[str]


def public_names(
    inventory: Inventory, coordinator: str | None, services: dict[str, str], problems: Problems
) -> tuple[list[Name], list[str]]:
    """The names to check, and those whose addresses must be looked up for it. services: host name -> variable."""
    gateways = inventory.groups["gateways"]
    names = []
    for host in dict.fromkeys([*([coordinator] if coordinator else []), *gateways]):
        name = dns_name(inventory.get(host, "mesh_public_address", problems))
        if name is not None:
            known = frozenset(_outer(inventory.get(host, "ansible_host", problems)))
            names.append(Name(name, host, "mesh_public_address", known))
    named = [dns_name(inventory.get(host, "mesh_public_address", problems)) for host in gateways]
    literal = {
        str(address)
        for host in gateways
        if (address := ip_address(inventory.get(host, "mesh_public_address", problems))) is not None
    }
    for name, variable in services.items():
        names.append(Name(name, GATEWAYS, variable, frozenset(literal)))
    return names, [name for name in named if name is not None]


def check_names(names: list[Name], gateways: list[str], world: World, strict: bool, problems: Problems) -> list[str]:
    """gateways: the gateways' own names, to which a service's name may lead as well. Returns the warnings.

    Of the hosts' own names, if strict, a wrong one is a mistake: the mesh is found by them.
    """
    if not names:
        return []
    found = world.resolve(sorted({*(each.name for each in names), *gateways}))
    records, wrong = [], []
    for each in names:
        right = set(each.addresses)
        if each.where == GATEWAYS:
            right.update(address for name in gateways for address in found.get(name, []))
        seen = found.get(each.name, [])
        if seen and (not right or _leads_to(seen, right)):
            continue
        record = _record(each, right, gateways)
        what = f"leads to {', '.join(seen)}" if seen else "does not resolve"
        aim = f", not to {', '.join(sorted(right))}" if seen else ""
        if not strict or each.where == GATEWAYS:
            records.append(record)
            wrong.append(f"{each.name} ({each.variable}) {what}{aim}")
        else:
            fix = f'Make the DNS record "{record}", or set mesh_dns_check: warn where no DNS is expected'
            problems.add(each.where, each.variable, each.name, f"seen from the controller it {what}{aim}", fix)
    if not records:
        return []
    listed, made = "; ".join(wrong), "; ".join(dict.fromkeys(records))
    return [
        f"Seen from the controller these names do not lead to their hosts: {listed}. The DNS records to make: {made}"
    ]


def _leads_to(seen: list[str], right: set[str]) -> bool:
    """Each address of a family that is known must be a right one; of another family nothing is known."""
    families = {":" in address for address in right}
    judged = [address for address in seen if (":" in address) in families]
    return bool(judged) and all(address in right for address in judged)


def _outer(value: object) -> list[str]:
    address = ip_address(value)
    # An inner address says nothing about a public name.
    return [] if address is None or is_inner(value) else [str(address)]


def _record(each: Name, right: set[str], gateways: list[str]) -> str:
    if right:
        return "; ".join(f"{each.name}. {'AAAA' if ':' in address else 'A'} {address}" for address in sorted(right))
    if each.where == GATEWAYS and gateways:
        return f"{each.name}. CNAME {gateways[0]}."
    return f"{each.name}. A <public address of {each.where}>"
