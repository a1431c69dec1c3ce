# SPDX-License-Identifier: MIT

"""The controller's only half of mesh_model: gathers the inventory, and asks files, clock and DNS for the checks."""

from __future__ import annotations

import datetime
import os
import socket
import threading
import time
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.wonder.mesh.plugins.plugin_utils._controller_file import read_local
from ansible_collections.wonder.mesh.plugins.plugin_utils._gather import gather, refusal
from ansible_collections.wonder.mesh.plugins.plugin_utils._model import build_model
from ansible_collections.wonder.mesh.plugins.plugin_utils._programs import find
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_known import Known
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_registry import RegistryError
from ansible_collections.wonder.mesh.plugins.plugin_utils._world import World

if t.TYPE_CHECKING:
    from collections.abc import Sequence

DNS_TIMEOUT = 5.0  # seconds for all names together


class ActionModule(ActionBase):
    """Makes the model of the whole inventory, whatever the play's hosts and --limit are; calls no host."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec({"outside": {"type": "bool", "default": True}})
        variables = task_vars or {}
        now = datetime.datetime.now(datetime.UTC)
        world = World(
            self._read_file,
            self._why_unwritable,
            resolve,
            lambda name: find(name).version,
            lambda name: find(name).packages.keys(),
            now,
        )
        inventory = gather(variables["groups"], variables["hostvars"])
        known = Known(inventory, variables["hostvars"], self._loader.path_dwim)
        try:
            registry = known.read()
        except RegistryError as exc:
            return result | refusal([str(exc)])
        outcome = build_model(inventory, world if arguments["outside"] else None, registry)

        result.update(changed=False, warnings=outcome.warnings)
        if outcome.model is None:
            return result | refusal(outcome.problems)
        # The model is a fact, so that every later play and role of the run has it, --limit or not.
        return result | {"model": outcome.model, "ansible_facts": {"mesh": outcome.model}}

    def _read_file(self, path: str) -> bytes:
        return read_local(self._loader, path)

    def _why_unwritable(self, path: str) -> str:
        """Why no file can be written there, on the controller; "" if one can."""
        real = self._loader.path_dwim(os.path.expanduser(path))
        folder = os.path.dirname(real)
        if os.path.isdir(real):
            return "it is a directory"
        if not os.path.isdir(folder):
            return f"there is no directory {folder}"
        return "" if os.access(folder, os.W_OK | os.X_OK) else f"nothing can be written to {folder}"


def resolve(names: Sequence[str], timeout: float = DNS_TIMEOUT) -> dict[str, list[str]]:
    """The addresses of each name; none for a name that does not resolve, or not in time."""
    found: dict[str, list[str]] = {}

    def look_up(name: str) -> None:
        try:
            answers = socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        found[name] = sorted({str(answer[4][0]) for answer in answers})

    # A look-up cannot be interrupted, so each has a thread that the process does not wait for.
    threads = [threading.Thread(target=look_up, args=(name,), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    until = time.monotonic() + timeout
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return {name: found.get(name, []) for name in names}
