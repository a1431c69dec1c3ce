# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""mesh_admins and mesh_grants: who may reach what, beyond what services need."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._values import port_number

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Admins, Grant
    from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems

PERSON = re.compile(r"[A-Za-z][A-Za-z0-9._-]{1,63}@(?:[A-Za-z0-9][A-Za-z0-9.-]{0,252})?", re.ASCII)
GRANT_KEYS = ("from", "to", "ports")
GRANT_EXAMPLE = '{from: [laptop], to: [nas], ports: ["tcp:445"]}'
PORT = re.compile(r"(?:tcp|udp):(?:\*|([0-9]{1,5})(?:-([0-9]{1,5}))?)", re.ASCII)


def read_admins(inventory: Inventory, problems: Problems) -> Admins:
    value = inventory.everywhere("mesh_admins", problems)
    admins: Admins = {"nodes": [], "people": []}
    if value is None:
        return admins
    if not isinstance(value, list):
        fix = "Write it as a list, like [laptop, alice@example.com]"
        problems.add("all", "mesh_admins", value, "it must be a list of nodes and people", fix)
        return admins
    for item in value:
        if isinstance(item, str) and PERSON.fullmatch(item):
            admins["people"].append(item)
        elif isinstance(item, str) and item in inventory.groups["nodes"]:
            admins["nodes"].append(item)
        else:
            fix = f"Name one of {_listed(inventory.groups['nodes'])}, or a person as name@ or name@example.com"
            problems.add("all", "mesh_admins", item, "it is neither a node nor a person", fix)
    return {"nodes": sorted(set(admins["nodes"])), "people": sorted(set(admins["people"]))}


def read_grants(inventory: Inventory, tags: set[str], problems: Problems) -> list[Grant]:
    """tags: all tags in use; a policy that names another one is refused by Headscale."""
    value = inventory.everywhere("mesh_grants", problems)
    if value is None:
        return []
    if not isinstance(value, list):
        problems.add("all", "mesh_grants", value, "it must be a list", f"Write it as a list of {GRANT_EXAMPLE}")
        return []
    grants = [_grant(f"mesh_grants[{number}]", item, inventory, tags, problems) for number, item in enumerate(value)]
    return [grant for grant in grants if grant is not None]


def _grant(where: str, item: t.Any, inventory: Inventory, tags: set[str], problems: Problems) -> Grant | None:
    if not isinstance(item, dict):
        problems.add("all", where, item, "a grant is a mapping", f"Write it as {GRANT_EXAMPLE}")
        return None
    for key in sorted(set(item) - set(GRANT_KEYS)):
        problems.add("all", f"{where}.{key}", item[key], "a grant has no such key", f"Use {', '.join(GRANT_KEYS)}")
    lists: dict[str, list[t.Any]] = {}
    for key in GRANT_KEYS:
        found = item.get(key)
        if not isinstance(found, list) or not found:
            problems.add(
                "all", f"{where}.{key}", found, "it must be a list with something in it", f"Write it as {GRANT_EXAMPLE}"
            )
            found = []
        lists[key] = found
    nodes = inventory.groups["nodes"]
    for key in ("from", "to"):
        for each in lists[key]:
            if isinstance(each, str) and (each in nodes or each in tags):
                continue
            if key == "from" and isinstance(each, str) and PERSON.fullmatch(each):
                continue
            what = "a node, a tag in use or a person" if key == "from" else "a node or a tag in use"
            fix = f"Name one of {_listed([*nodes, *sorted(tags)])}"
            problems.add("all", f"{where}.{key}", each, f"it is not {what}", fix)
    for each in lists["ports"]:
        if not _is_port(each):
            fix = "Write it like tcp:445, udp:53, tcp:8000-8010 or tcp:*"
            problems.add("all", f"{where}.ports", each, "it is no protocol with a port", fix)
    return {"from": lists["from"], "to": lists["to"], "ports": lists["ports"]}


def _is_port(value: object) -> bool:
    match = PORT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return False
    numbers = [port_number(number) for number in match.groups() if number is not None]
    return None not in numbers and numbers == sorted(t.cast("list[int]", numbers))


def _listed(names: list[str]) -> str:
    return ", ".join(names) if names else "nothing, for there is none"
