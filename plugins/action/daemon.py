# SPDX-License-Identifier: MIT

"""The controller's half of ``daemon``: renders templates, finds or builds the program, sends what the host lacks."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.template import trust_as_template

from ansible_collections.wonder.mesh.plugins.module_utils._wanted import ARGUMENTS, UNITS, wanted
from ansible_collections.wonder.mesh.plugins.plugin_utils import _reading
from ansible_collections.wonder.mesh.plugins.plugin_utils._controller_file import read_local
from ansible_collections.wonder.mesh.plugins.plugin_utils._sending import SendingAction
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import plain


class ActionModule(SendingAction):
    module = "wonder.mesh.daemon"

    def _resolve(self) -> dict[str, t.Any]:
        """Contents instead of templates, hashes instead of secrets."""
        arguments = dict(self._task.args)
        source = plain(arguments.pop("program_source", None))
        absent = arguments.get("state") == "absent"
        units = arguments.get("units") or []
        files = [] if absent else [self._file(dict(each)) for each in arguments.get("files") or []]
        for template in units:
            path = os.path.join(UNITS, template.removesuffix(".j2"))
            files.append({"path": path, "content": "" if absent else self._render(template)})
        arguments["files"] = files
        arguments["units"] = [template.removesuffix(".j2") for template in units]
        if arguments.get("program"):
            arguments["binaries"] = self._expect(arguments["program"], arguments.get("version"), source)
        return arguments

    def _file(self, file: dict[str, t.Any]) -> dict[str, t.Any]:
        kinds = sorted({"template", "content", "source"} & {key for key, value in file.items() if value is not None})
        if len(kinds) != 1:
            found = " and ".join(kinds) or "none"
            raise AnsibleActionFail(
                f"daemon: {file.get('path')}: give one of template, content and source; found {found}"
            )
        value = file.pop(kinds[0])
        if kinds[0] == "template":
            content = self._render(value).encode()
        elif kinds[0] == "source":
            content = self._read(value)
        else:
            content = str(value).encode()
        if file.get("secret"):
            file["sha256"] = self._apart(content)
        else:
            file["content"] = content.decode()
        return file

    def _render(self, template: str) -> str:
        # Not by the lookup of templates, which copies all variables of the run for each one.
        path = self._find_needle("templates", template)
        text = trust_as_template(self._loader.get_text_file_contents(path))
        return str(self._templar.template(text, preserve_trailing_newlines=True, overrides={"trim_blocks": True}))

    def _read(self, source: str) -> bytes:
        try:
            return read_local(self._loader, source)
        except OSError as exc:
            reason = exc.strerror or exc
            raise AnsibleActionFail(f"daemon: {source} cannot be read on the controller: {reason}") from exc

    def _known(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any] | None:
        """What the module would say of a daemon that is known to be as wanted."""
        reading = _reading.reading_of(_reading.host_of(self, variables))
        parameters = _reading.valid(arguments, ARGUMENTS)
        if reading is None or parameters is None or parameters["state"] == "absent":
            return None
        machine = reading["machine"]
        if parameters["program"] and machine not in parameters["binaries"]:
            return None  # nothing is known yet of what is wanted
        if reading["daemons"].get(parameters["name"]) != wanted(parameters, machine).identity:
            return None
        return {"changed": False, "diff": [], "restarted": False, "reloaded": False, "machine": machine}
