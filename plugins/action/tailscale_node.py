# SPDX-License-Identifier: MIT

"""The controller's half of ``tailscale_node``: when the node has not joined, a key from the coordinator to the node."""

from __future__ import annotations

import tempfile
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.wonder.mesh.plugins.module_utils._node import ARGUMENTS, Node
from ansible_collections.wonder.mesh.plugins.plugin_utils import _reading, _trial
from ansible_collections.wonder.mesh.plugins.plugin_utils._delegate import run_module_on

MINT = "wonder.mesh.headscale_join_key"
# The arguments that say which daemon of the host is meant.
DAEMON = ("binary", "socket", "state_directory", "unit")


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = dict(self._task.args)
        arguments.pop("key_file", None)  # not for playbooks
        known = self._known(arguments, variables)
        if known is not None:
            return _told(known)
        arguments["trial"] = _trial.new_trial()
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

    def _known(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any] | None:
        """What the module would say of a node that is known to be as wanted."""
        reading = _reading.reading_of(_reading.host_of(self, variables))
        parameters = _reading.valid(arguments, ARGUMENTS)
        if (
            not reading
            or not reading["node"]
            or parameters is None
            or any(parameters[each] != ARGUMENTS[each]["default"] for each in DAEMON)
        ):
            return None
        node = Node(None, parameters, **reading["node"])
        if node.changed or node.is_elsewhere:
            return None
        return {"changed": False, "diff": node.diff(), **node.result()}

    def _call(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        answer = _trial.see_through(
            self,
            arguments["trial"],
            lambda: _reading.call(self, "wonder.mesh.tailscale_node", arguments, variables),
            variables,
            settle=_trial.SETTLE,
        )
        if answer.get("changed"):
            _reading.forget(str(arguments["coordinator"]))  # it knows of a node more, or of other routes
        return _told(answer)

    def _send(self, key: str) -> str:
        """Put the key into a file on the node that only root can read; its path."""
        directory = self._connection._shell.tmpdir or self._make_tmp_path()
        remote = self._connection._shell.join_path(directory, "join-key")
        with tempfile.NamedTemporaryFile("w", encoding="ascii") as stream:  # 0600 from its first moment
            stream.write(key)
            stream.flush()
            self._transfer_file(stream.name, remote)
        return str(remote)


def _told(answer: dict[str, t.Any]) -> dict[str, t.Any]:
    """The answer, with facts for later plays: the responder's addresses, and which key is this host's in Headscale."""
    if "joined" in answer:
        answer["ansible_facts"] = {"tailscale_node": {"addresses": answer["addresses"], "key": answer["key"]}}
    return answer
