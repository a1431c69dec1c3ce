# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""mesh_admins, mesh_groups and mesh_grants: who may reach what, beyond what services need."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._values import port_number

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Admins, Grant
    from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems

PERSON = re.compile(r"[A-Za-z][A-Za-z0-9._-]{1,63}@(?:[A-Za-z0-9][A-Za-z0-9.-]{0,252})?", re.ASCII)
GROUP = re.compile(r"[a-z][a-z0-9-]{0,62}", re.ASCII)
GROUP_EXAMPLE = "{family: [alice@example.com, bob@]}"
A_PERSON = "Name people as name@ or name@example.com"
GRANT_KEYS = ("from", "to", "ports")
GRANT_EXAMPLE = '{from: [laptop], to: [nas], ports: ["tcp:445"]}'
PORT = re.compile(r"(?:tcp|udp):(?:\*|([0-9]{1,5})(?:-([0-9]{1,5}))?)", re.ASCII)


def read_groups(inventory: Inventory, problems: Problems) -> dict[str, list[str]]:
    """The people of each group, by the name that policies have for it: group:NAME."""
    value = inventory.everywhere("mesh_groups", problems)
    if value is None:
        return {}
    if not isinstance(value, dict):
        reason = "it must be a mapping of names to lists of people"
        problems.add("all", "mesh_groups", value, reason, f"Write it like {GROUP_EXAMPLE}")
        return {}
    groups = {}
    for name, people in value.items():
        where = f"mesh_groups.{name}"
        if not GROUP.fullmatch(name):
            reason = "a group has a name of small letters, digits and hyphens, a letter first"
            problems.add("all", where, name, reason, "Rename it, like family")
        if not isinstance(people, list) or not people:
            problems.add(
                "all", where, people, "it must be a list with somebody in it", f"Write it like {GROUP_EXAMPLE}"
            )
            continue
        for each in people:
            if not is_person(each):
                problems.add("all", where, each, "it is no person", A_PERSON)
        groups[f"group:{name}"] = sorted({each for each in people if is_person(each)})
    return groups


def is_person(value: object) -> bool:
    return isinstance(value, str) and PERSON.fullmatch(value) is not None


def people_of(groups: Mapping[str, Sequence[str]], selectors: Iterable[str]) -> list[str]:
    """All people among nodes, tags, people and groups."""
    return sorted({person for each in selectors for person in groups.get(each, [each]) if is_person(person)})


def read_admins(inventory: Inventory, groups: Mapping[str, Sequence[str]], problems: Problems) -> Admins:
    value = inventory.everywhere("mesh_admins", problems)
    nodes: set[str] = set()
    people: set[str] = set()
    if value is None:
        value = []
    elif not isinstance(value, list):
        fix = "Write it as a list, like [laptop, alice@example.com]"
        problems.add("all", "mesh_admins", value, "it must be a list of nodes and people", fix)
        value = []
    for item in value:
        if isinstance(item, str) and (is_person(item) or item in groups):
            people.update(people_of(groups, [item]))
        elif isinstance(item, str) and item in inventory.groups["nodes"]:
            nodes.add(item)
        else:
            reason = "it is neither a node nor a person, nor a group of mesh_groups"
            names = _listed([*inventory.groups["nodes"], *groups])
            fix = f"Name one of {names}, or a person as name@ or name@example.com"
            problems.add("all", "mesh_admins", item, reason, fix)
    return {"nodes": sorted(nodes), "people": sorted(people)}


def read_grants(
    inventory: Inventory, tags: set[str], groups: Mapping[str, Sequence[str]], problems: Problems
) -> list[Grant]:
    """tags: all tags in use; a policy that names another one, or another group, is refused by Headscale."""
    value = inventory.everywhere("mesh_grants", problems)
    if value is None:
        return []
    if not isinstance(value, list):
        problems.add("all", "mesh_grants", value, "it must be a list", f"Write it as a list of {GRANT_EXAMPLE}")
        return []
    known = {"tags": sorted(tags), "groups": sorted(groups), "nodes": inventory.groups["nodes"]}
    grants = [
        _grant(f"mesh_grants[{number}]", item, inventory.backend, known, problems) for number, item in enumerate(value)
    ]
    return [grant for grant in grants if grant is not None]


def _grant(where: str, item: t.Any, backend: str, known: Mapping[str, list[str]], problems: Problems) -> Grant | None:
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
    for key in ("from", "to"):
        for each in lists[key]:
            if isinstance(each, str) and any(each in names for names in known.values()):
                if key == "to" and each in known["groups"] and backend == "wireguard":
                    reason = "on plain WireGuard, the machines of people let nobody in"
                    problems.add("all", f"{where}.to", each, reason, "Name nodes or tags")
                continue
            if key == "from" and is_person(each):
                continue
            what = "a node, a tag in use, a group of mesh_groups" + (" or a person" if key == "from" else "")
            fix = f"Name one of {_listed([*known['nodes'], *known['tags'], *known['groups']])}"
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
