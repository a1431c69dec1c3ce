# SPDX-License-Identifier: MIT
"""Running a module on another host from within an action, with the real ansible-playbook."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.wonder.mesh.plugins.plugin_utils._delegate import run_module_on
from tests.unit.plugins.action.playbook import inventory, play

ACTION = """
from ansible.plugins.action import ActionBase
from ansible_collections.wonder.mesh.plugins.plugin_utils._delegate import run_module_on

class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        there = run_module_on(self, "hub", "fetch", {"data": "hunter2" + "-secret"}, task_vars)
        assert there["data"] == "hunter2" + "-secret", there
        here = self._execute_module(module_name="fetch", module_args={"data": "mine"}, task_vars=task_vars)
        return {"there": there["tmp"], "here": here["tmp"]}
"""
MODULE = """
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({"data": {"type": "str"}})
module.exit_json(data=module.params["data"], tmp=module.tmpdir)
"""


def test_it_uses_the_other_hosts_variables_says_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    for folder, content in (("action_plugins", ACTION), ("library", MODULE)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "fetch.py").write_text(content)
    hosts = {name: {"ansible_remote_tmp": str(tmp_path / f"of-{name}")} for name in ("hub", "mini-1")}
    tasks = [
        {"name": "Fetch", "fetch": None, "register": "found"},
        {"name": "Tell", "ansible.builtin.debug": {"msg": "there <{{ found.there }}> here <{{ found.here }}>"}},
    ]
    run = play(tmp_path, inventory(hosts, {}, {}), tasks, "--limit", "mini-1", "-vvvv")
    said = run.stdout + run.stderr
    assert run.returncode == 0, said
    there, here = re.findall(rf"<({tmp_path}/of-[^>]+)>", said)
    assert there.startswith(f"{tmp_path}/of-hub/")
    assert here.startswith(f"{tmp_path}/of-mini-1/")
    assert not Path(there).exists()
    assert "hunter2-secret" not in said


def test_a_host_that_is_not_in_the_inventory_is_named() -> None:
    with pytest.raises(AnsibleActionFail, match="hub is not in the inventory"):
        run_module_on(t.cast("t.Any", None), "hub", "m", {}, {"hostvars": {}})
