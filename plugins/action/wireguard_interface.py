# SPDX-License-Identifier: MIT

"""The controller's half of ``wireguard_interface``: makes pre-shared keys, and sends what the host lacks."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tempfile
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_daemon import ARGUMENTS, PROGRAM, described
from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs, _reading, _supply, _trial
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import plain
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_agent_file import agent
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_secret import (
    SecretError,
    load_secret,
    preshared_keys,
)

MODULE = "wonder.mesh.wireguard_interface"


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = plain(dict(self._task.args))
        self._contents: dict[str, bytes] = {}  # what is sent apart, by its hash
        self._program_source = arguments.pop("program_source", None)
        self._version = str(arguments.pop("version", None) or "")
        try:
            self._resolve(arguments)
            return self._known(arguments, variables) or self._converge(arguments, variables)
        except (_programs.ProgramError, SecretError) as exc:
            raise AnsibleActionFail(str(exc)) from None  # Ansible would say all of it twice
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)

    def _resolve(self, arguments: dict[str, t.Any]) -> None:
        """Hashes instead of what is sent apart, and what the cache has of the program."""
        keys = self._preshared(arguments.pop("secret_file", ""), arguments.pop("preshared_keys", {}), arguments)
        arguments["preshared_sha256"] = self._apart(json.dumps(keys, sort_keys=True).encode()) if keys else ""
        arguments["agent_sha256"] = self._apart(agent())
        arguments["trial"] = _trial.new_trial()
        if arguments.get("table") and arguments.get("state") != "absent":
            arguments["binaries"] = self._binaries()

    def _apart(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self._contents[digest] = content
        return digest

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

    def _converge(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        answer = self._call(arguments, variables)
        if answer.get("missing") == ["program"]:
            # The first host of its architecture: the cache has nothing for it yet.
            self._program().build(_programs.go_arch(answer["machine"]), self._report)
            arguments["binaries"] = self._binaries()
            answer = self._call(arguments, variables)
        if answer.get("missing") and not answer.get("failed"):
            arguments["uploads"] = self._upload(answer["missing"], answer["machine"])
            answer = self._call(arguments, variables)
        return answer

    def _call(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        return _trial.see_through(
            self, arguments["trial"], lambda: _reading.call(self, MODULE, arguments, variables), variables
        )

    def _program(self) -> _programs.Program:
        return _supply.supplied(_programs.find(PROGRAM, self._version), self._program_source, self._loader.path_dwim)

    def _binaries(self) -> dict[str, t.Any]:
        """What the cache has of the program, by architecture."""
        program = self._program()
        label = f"{program.name} {program.version}"
        return {
            machine: [{"name": each.name, "sha256": each.sha256, "label": label} for each in cached.values()]
            for machine, arch in _programs.ARCHITECTURES.items()
            if (cached := program.cached(arch)) is not None
        }

    def _upload(self, missing: list[str], machine: str) -> dict[str, str]:
        """Send the contents with these hashes, gzipped; where they lie on the host, by hash."""
        archives = {}
        if not self._contents.keys() >= set(missing):
            binaries = self._program().build(_programs.go_arch(machine), self._report)
            archives = {binary.sha256: binary.archive for binary in binaries.values()}
        directory = self._connection._shell.tmpdir or self._make_tmp_path()
        uploads = {}
        for digest in missing:
            uploads[digest] = self._connection._shell.join_path(directory, digest)
            if digest in archives:
                self._transfer_file(str(archives[digest]), uploads[digest])
            else:
                self._send(self._contents[digest], uploads[digest])
        return uploads

    def _send(self, content: bytes, remote: str) -> None:
        with tempfile.NamedTemporaryFile() as stream:  # 0600 from its first moment
            stream.write(gzip.compress(content, mtime=0))
            stream.flush()
            self._transfer_file(stream.name, remote)

    def _report(self, line: str) -> None:
        Display().display(f"  {line}")
