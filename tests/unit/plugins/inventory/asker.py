# SPDX-License-Identifier: MIT
"""Reads inventory files as ansible-inventory does, many in one process, since its start takes longer than all else.

Each line of stdin is a JSON object with ``file``, ``environment`` and ``flush``; each line of stdout the answer to one:
``hosts`` with their variables, ``groups`` with their hosts, ``said`` on stderr, ``failed``.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import typing as t

from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader


def main() -> None:
    init_plugin_loader()
    mine = dict(os.environ)
    for line in sys.stdin:
        question = json.loads(line)
        os.environ.clear()
        os.environ.update(mine | question["environment"])
        print(json.dumps(answer(question)), flush=True)


def answer(question: dict[str, t.Any]) -> dict[str, t.Any]:
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            manager = InventoryManager(DataLoader(), sources=[question["file"]], cache=not question["flush"])
        except AnsibleError as exc:
            return {"failed": True, "said": f"{said.getvalue()} {exc}"}
    return {
        "failed": False,
        "said": said.getvalue(),
        "hosts": {host.name: dict(host.vars) for host in manager.get_hosts()},
        "groups": {name: [host.name for host in group.get_hosts()] for name, group in manager.groups.items()},
    }


if __name__ == "__main__":
    main()
