# SPDX-License-Identifier: MIT

"""The controller's half of ``tailscale_node``: when the node has not joined, a key from the coordinator to the node."""

from __future__ import annotations

import tempfile
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.wonder.mesh.plugins.plugin_utils._delegate import run_module_on

MINT = "wonder.mesh.headscale_join_key"


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = dict(self._task.args)
        arguments.pop("key_file", None)  # not for playbooks
        try:
            answer = self._call(arguments, variables)
            if answer.get("failed") or answer.get("unreachable") or answer.get("joined") or self._task.check_mode:
                return answer
            return self._join(arguments, variables)
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)

    def _join(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        coordinator, tags = str(arguments["coordinator"]), list(arguments["tags"])
        minted = run_module_on(self, coordinator, MINT, {"tags": tags}, variables)
        if "key" not in minted:
            reason = minted.get("msg") or "it gave no reason"
            raise AnsibleActionFail(f"the coordinator {coordinator} minted no key for this node: {reason}")
        answer: dict[str, t.Any] = {}
        try:
            answer = self._call(arguments | {"key_file": self._send(minted["key"])}, variables)
        finally:
            if not answer.get("joined"):
                # A key that did not join anybody must not lie around until it expires.
                run_module_on(self, coordinator, MINT, {"tags": tags, "revoke": minted["id"]}, variables)
        return answer

    def _call(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        answer: dict[str, t.Any] = self._execute_module(
            module_name="wonder.mesh.tailscale_node", module_args=arguments, task_vars=variables
        )
        answer.pop("invocation", None)
        if "joined" in answer:
            # For later plays: the responder's addresses, and which key is this host's in Headscale.
            answer["ansible_facts"] = {"tailscale_node": {"addresses": answer["addresses"], "key": answer["key"]}}
        return answer

    def _send(self, key: str) -> str:
        """Put the key into a file on the node that only root can read; its path."""
        directory = self._connection._shell.tmpdir or self._make_tmp_path()
        remote = self._connection._shell.join_path(directory, "join-key")
        with tempfile.NamedTemporaryFile("w", encoding="ascii") as stream:  # 0600 from its first moment
            stream.write(key)
            stream.flush()
            self._transfer_file(stream.name, remote)
        return str(remote)
