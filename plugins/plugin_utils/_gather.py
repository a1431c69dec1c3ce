# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The inventory as Ansible has it, made into what the model is built from; and how its mistakes are told."""

from __future__ import annotations

import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import OTHER_VARIABLES, Inventory
from ansible_collections.wonder.mesh.plugins.plugin_utils._options import meant, options
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Broken, plain

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FACTS = ("mesh", "tailscale_node")


def refusal(mistakes: Sequence[str]) -> dict[str, t.Any]:
    """What an action returns that ends a run before the first change."""
    count = len(mistakes)
    title = f"The inventory has {count} mistake{'' if count == 1 else 's'}; nothing was changed:"
    return {"failed": True, "msg": "\n".join([title, *mistakes])}


def gather(groups: Mapping[str, Sequence[str]], hostvars: Mapping[str, Mapping[str, t.Any]]) -> Inventory:
    """Of all hosts, whatever the play's hosts and ``--limit`` are."""
    return Inventory.of(groups, {host: _variables(hostvars[host]) for host in hostvars})


def _variables(variables: Mapping[str, t.Any]) -> dict[str, t.Any]:
    wanted = sorted(name for name in variables if name.startswith("mesh_") or name in OTHER_VARIABLES or meant(name))
    found = {name: _value(variables, name) for name in wanted}
    return {name: value for name, value in found.items() if not (name in options() and _is_of_the_run(value))}


def _is_of_the_run(value: object) -> bool:
    """Whether a template needs the facts that the run itself makes. The role checks it when it has them."""
    return isinstance(value, Broken) and any(f"has no attribute '{fact}'" in value.reason for fact in FACTS)


def _value(variables: Mapping[str, t.Any], name: str) -> t.Any:
    """The templated value; what its template raises is a mistake of the inventory like any other."""
    try:
        return plain(variables[name])
    except Exception as exc:
        return Broken(f"its template fails: {exc}")
