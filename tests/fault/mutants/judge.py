# SPDX-License-Identifier: MIT
"""What the check says of an inventory, in this process: Ansible reads and templates it, and mesh_model's action judges.

A play of playbooks/check.yml says the same and takes a hundred times as long; test_mutations.py compares the two.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import typing as t
from pathlib import Path
from unittest import mock

import yaml
from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.task import Task
from ansible.plugins.loader import init_plugin_loader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from ansible_collections.wonder.mesh.plugins.action import mesh_model
from ansible_collections.wonder.mesh.plugins.plugin_utils._options import BACKEND_OF, PLAYERS, ROLES, options
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import plain

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PLAYBOOKS = Path(__file__).parents[3] / "playbooks"
MISTAKES = "nothing was changed:\n"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """refused: "" for an inventory that is taken, else by "Ansible", which cannot read it, or by the "check".

    problems: a line each. wanted: the whole state that a run would bring about, as text; "" if it is refused.
    """

    refused: str
    problems: list[str]
    wanted: str


def judge(inventory: Path, names: Mapping[str, Sequence[str]]) -> Verdict:
    """names: what DNS would say. Raises what neither Ansible nor the check expects: that is a defect."""
    loader = _loader()
    try:
        # Of the plugins that it would ask in turn, this is the one that knows our files.
        with mock.patch.object(C, "INVENTORY_ENABLED", ["yaml"]):
            manager = InventoryManager(loader=loader, sources=[str(inventory)], cache=False)
    except AnsibleError as exc:
        return Verdict("Ansible", [str(exc)], "")
    groups = manager.get_groups_dict()
    if not manager.hosts:
        return Verdict("Ansible", ["there is no host"], "")
    hostvars = HostVars(manager, VariableManager(loader, manager), loader)
    # Any task will do for what an action asks of its own.
    task = Task.load({"name": "Check the whole inventory", "ansible.builtin.debug": {}})
    action = mesh_model.ActionModule(task, mock.Mock(), mock.Mock(), loader, mock.Mock(), None)
    with mock.patch.object(mesh_model, "resolve", lambda asked: {name: list(names.get(name, ())) for name in asked}):
        said = action.run(task_vars={"groups": groups, "hostvars": hostvars})
    if said.get("failed"):
        title, _, lines = said["msg"].partition("\n")
        assert title.endswith(MISTAKES.strip())
        return Verdict("check", lines.splitlines(), "")
    return Verdict("", [], _wanted(said["model"], hostvars))


def _wanted(model: dict[str, t.Any], hostvars: Mapping[str, Mapping[str, t.Any]]) -> str:
    """All that decides what the roles make of the hosts: the model, their variables, and how they are reached."""
    roles = {}
    for host in model["hosts"]:
        played = [
            role
            for role, groups in PLAYERS.items()
            if set(groups) & set(model["hosts"][host]["groups"]) and BACKEND_OF.get(role) in (None, model["backend"])
        ]
        values = {name: _value(hostvars[host], name) for name in hostvars[host] if _counts(name, played)}
        roles[host] = {name: value for name, value in values.items() if value != _defaults().get(name)}
    json.dumps(model, allow_nan=False).encode()  # it goes into result.json and to the hosts
    return json.dumps([model, roles], sort_keys=True)


def _counts(name: str, played: Sequence[str]) -> bool:
    if name in options():
        return options()[name].role in played
    own = ("mesh_result_file", "mesh_verify_paths")  # and not mesh_remove_data, which only counts in a removal
    return name in own or (name.startswith("ansible_") and name not in _OF_ANSIBLE)


def _value(variables: Mapping[str, t.Any], name: str) -> t.Any:
    try:
        return plain(variables[name])
    except AnsibleError as exc:
        return f"fails: {exc}"  # what the check leaves to the role, or to Ansible


_OF_ANSIBLE = ("ansible_config_file", "ansible_playbook_python", "ansible_facts")


@functools.cache
def _defaults() -> Mapping[str, t.Any]:
    found: dict[str, t.Any] = {}
    for role in PLAYERS:
        text = (ROLES / role / "defaults" / "main.yml").read_text(encoding="utf-8")
        found |= {name: value for name, value in yaml.safe_load(text).items() if "{{" not in str(value)}
    return found


@functools.cache
def _loader() -> DataLoader:
    init_plugin_loader()
    loader = DataLoader()
    loader.set_basedir(str(PLAYBOOKS))
    return loader
