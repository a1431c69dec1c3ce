# SPDX-License-Identifier: MIT

"""All of wireguard_clients: makes keys and configurations on the controller, and calls no host."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.wonder.mesh.plugins.plugin_utils import _wireguard_client as client
from ansible_collections.wonder.mesh.plugins.plugin_utils._gather import gather, refusal
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_known import Known
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_learn import key_to_come, learn
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_plain import of_plain
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_registry import RegistryError
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_secret import (
    SecretError,
    load_secret,
    preshared_keys,
)
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_tables import Plan

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_types import Mesh

ARGUMENTS: dict[str, dict[str, t.Any]] = {"directory": {"type": "path", "required": True}}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        variables = task_vars or {}
        self._directory = self._loader.path_dwim(os.path.expanduser(arguments["directory"]))
        inventory = gather(variables["groups"], variables["hostvars"])
        known = Known(inventory, variables["hostvars"], self._loader.path_dwim)
        try:
            before = known.read()
            first = learn(inventory, before, {})
            if first.outcome.model is None:
                return result | refusal(first.outcome.problems)
            registry, keys = first.registry, {}
            for name in first.outcome.model["wireguard"].get("clients", {}):
                keys[name] = self._key(name)
                public = client.public_key(keys[name]) if keys[name] else key_to_come(name)
                registry = registry.record(name, first.outcome.model["wireguard"]["nodes"][name]["addresses"], public)
            learnt = learn(inventory, registry, {})
            if learnt.outcome.model is None:
                return result | refusal(learnt.outcome.problems)
            if not self._task.check_mode:
                known.write(learnt.registry)
            changed = self._write(of_plain(learnt.outcome.model["wireguard"]), keys, known) if keys else []
        except (RegistryError, SecretError, ValueError) as exc:
            raise AnsibleActionFail(str(exc)) from None
        except OSError as exc:
            raise AnsibleActionFail(f"{exc.filename} cannot be written: {exc.strerror}") from None
        files = [os.path.join(self._directory, f"{name}.conf") for name in keys]
        return result | {
            "changed": bool(changed) or learnt.registry.dumps() != before.dumps(),
            "files": files,
            "diff": [{"before": "", "after": f"{path}: new (private)\n"} for path in changed],
            "ansible_facts": {"mesh": learnt.outcome.model, "known_nodes": learnt.registry.dumps()},
        }

    def _key(self, name: str) -> str:
        """The client's private key, made if there is none; empty in a check that would make it."""
        path = os.path.join(self._directory, f"{name}.conf")
        try:
            with open(path, encoding="ascii") as stream:
                found = client.key_in(stream.read())
        except FileNotFoundError:
            return "" if self._task.check_mode else client.make_key()
        if found is None:
            raise ValueError(
                f"{path} has no private key. Bring it back from a copy, or remove it to have a new key made"
            )
        return found

    def _write(self, mesh: Mesh, keys: dict[str, str], known: Known) -> list[str]:
        """Write what is new; the paths of what is."""
        secret = (
            load_secret(self._loader.get_real_file(known.secret_file)) if mesh.preshared and all(keys.values()) else b""
        )
        if not self._task.check_mode:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            os.chmod(self._directory, 0o700)
        changed = []
        for name, private in keys.items():
            path = os.path.join(self._directory, f"{name}.conf")
            if not private:
                changed.append(path)
                continue
            table = Plan(mesh, name).table(name)
            others = {peer["name"]: peer["public_key"] for peer in table["peers"] if peer["preshared"]}
            made = preshared_keys(secret, table["public_key"], others.values()) if others else {}
            text = client.configuration(table, private, {each: made[key] for each, key in others.items()})
            contents = {".conf": text.encode(), **client.pictures(text)}
            for ending, content in contents.items():
                file = os.path.join(self._directory, name + ending)
                if self._differs(file, content):
                    changed.append(file)
        return changed

    def _differs(self, path: str, content: bytes) -> bool:
        if not self._task.check_mode:
            return client.write_private(path, content)
        try:
            with open(path, "rb") as stream:
                return stream.read() != content
        except FileNotFoundError:
            return True
