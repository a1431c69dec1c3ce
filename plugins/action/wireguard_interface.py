# SPDX-License-Identifier: MIT

"""The controller's half of ``wireguard_interface``: makes pre-shared keys, and sends what the host lacks."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleActionFail

from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_daemon import (
    ARGUMENTS,
    PROGRAM,
    described,
    preshared_text,
)
from ansible_collections.wonder.mesh.plugins.plugin_utils import _reading
from ansible_collections.wonder.mesh.plugins.plugin_utils._bundle import agent
from ansible_collections.wonder.mesh.plugins.plugin_utils._sending import SendingAction
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import plain
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_secret import (
    SecretError,
    load_secret,
    preshared_keys,
)


class ActionModule(SendingAction):
    module = "wonder.mesh.wireguard_interface"
    errors = (*SendingAction.errors, SecretError)

    def _resolve(self) -> dict[str, t.Any]:
        """Hashes instead of what is sent apart."""
        arguments: dict[str, t.Any] = plain(dict(self._task.args))
        source, version = arguments.pop("program_source", None), arguments.pop("version", None)
        keys = self._preshared(arguments.pop("secret_file", ""), arguments.pop("preshared_keys", {}), arguments)
        self._keys = keys
        arguments["preshared_sha256"] = self._apart(preshared_text(keys)) if keys else ""
        arguments["agent_sha256"] = self._apart(agent())
        if arguments.get("table") and arguments.get("state") != "absent":
            arguments["binaries"] = self._expect(PROGRAM, version, source)
        return arguments

    def _converge(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Of a host that is known to lack the keys of a new pair, they need not be asked for: one call does it all."""
        found = (_reading.reading_of(_reading.host_of(self, variables)) or {}).get("wireguard") or {}
        if arguments["preshared_sha256"] not in ("", found.get("preshared_sha256", arguments["preshared_sha256"])):
            arguments["preshared_keys"] = self._keys
        return super()._converge(arguments, variables)

    def _preshared(self, file: object, given: object, arguments: dict[str, t.Any]) -> dict[str, str]:
        """The pre-shared keys of the host's pairs, by the names of its peers."""
        table = arguments.get("table") or {}
        peers = {each["name"]: each["public_key"] for each in table.get("peers", []) if each.get("preshared")}
        if not peers or arguments.get("state") == "absent":
            return {}
        if file:
            own = table.get("public_key")
            if not own:
                raise AnsibleActionFail(
                    "the table names no public_key, of which pre-shared keys are made; "
                    "have the key made first, with a task without table"
                )
            made = preshared_keys(self._secret(str(file)), own, peers.values())
            return {name: made[key] for name, key in peers.items()}
        if not isinstance(given, dict) or (missing := sorted(peers.keys() - given.keys())):
            raise AnsibleActionFail(f"there is no pre-shared key for {', '.join(missing)}; set secret_file")
        return {name: str(given[name]) for name in sorted(peers)}

    def _secret(self, file: str) -> bytes:
        """The mesh secret, of a vaulted file, too. Before the first run there is none, and a check needs none."""
        path = self._loader.path_dwim(file)
        if self._task.check_mode and not os.path.exists(path):
            return os.urandom(32)
        return load_secret(self._loader.get_real_file(path))

    def _known(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any] | None:
        """What the module would say of an interface that is known to be as wanted."""
        reading = _reading.reading_of(_reading.host_of(self, variables)) or {}
        found = reading.get("wireguard") or {}
        parameters = _reading.valid(arguments, ARGUMENTS)
        if not found.get("public_key") or parameters is None or parameters["state"] == "absent":
            return None
        if parameters["regenerate"] or found["error"]:
            return None
        told = {
            "changed": False,
            "diff": [],
            "interface": parameters["name"],
            "machine": reading["machine"],
            "public_key": found["public_key"],
            "registry": found["registry"],
            "userspace": found["userspace"],
            "restarted": False,
            "reloaded": False,
        }
        if parameters["table"] is None:
            return told
        named = parameters["table"].get("public_key")
        wanted = described(parameters, reading["machine"], found["userspace"])
        return told if found["identity"] == wanted.identity and named in ("", found["public_key"]) else None
