# SPDX-License-Identifier: MIT

"""The controller's half of ``daemon``: renders templates, finds or builds the program, sends what the host lacks."""

from __future__ import annotations

import gzip
import hashlib
import os
import pathlib
import tempfile
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template
from ansible.utils.display import Display

from ansible_collections.wonder.mesh.plugins.module_utils._wanted import ARGUMENTS, UNITS, wanted
from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs, _reading, _supply, _trial
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import plain


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        # Contents to send apart, by their hash: gzipped files, or secrets that are in no argument.
        self._secrets: dict[str, bytes] = {}
        arguments = dict(self._task.args)
        self._program_source = plain(arguments.pop("program_source", None))
        try:
            arguments = self._resolve(arguments)
            arguments["trial"] = _trial.new_trial()
            return self._known(arguments, variables) or self._converge(arguments, variables)
        except _programs.ProgramError as exc:
            raise AnsibleActionFail(str(exc)) from None  # Ansible would say all of it twice
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)

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

    def _converge(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        answer = self._call(arguments, variables)
        if answer.get("missing") == ["program"]:
            # The first host of its architecture: the cache has nothing for it yet.
            arch = _programs.go_arch(answer["machine"])
            self._program(arguments).build(arch, self._report)
            arguments["binaries"] = self._binaries(arguments)
            answer = self._call(arguments, variables)
        if answer.get("missing") and not answer.get("failed"):
            arguments["uploads"] = self._upload(answer["missing"], answer["machine"], arguments)
            answer = self._call(arguments, variables)
        return answer

    def _call(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        return _trial.see_through(
            self,
            arguments["trial"],
            lambda: _reading.call(self, "wonder.mesh.daemon", arguments, variables),
            variables,
        )

    def _resolve(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        """The module's arguments: contents instead of templates, hashes instead of secrets."""
        absent = arguments.get("state") == "absent"
        units = arguments.get("units") or []
        files = [] if absent else [self._file(dict(each)) for each in arguments.get("files") or []]
        for template in units:
            path = os.path.join(UNITS, template.removesuffix(".j2"))
            files.append({"path": path, "content": "" if absent else self._render(template)})
        arguments["files"] = files
        arguments["units"] = [template.removesuffix(".j2") for template in units]
        if arguments.get("program"):
            arguments["binaries"] = self._binaries(arguments)
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
            file["sha256"] = hashlib.sha256(content).hexdigest()
            self._secrets[file["sha256"]] = content
        else:
            file["content"] = content.decode()
        return file

    def _render(self, template: str) -> str:
        # Not by the lookup of templates, which copies all variables of the run for each one.
        path = self._find_needle("templates", template)
        text = trust_as_template(self._loader.get_text_file_contents(path))
        return str(self._templar.template(text, preserve_trailing_newlines=True, overrides={"trim_blocks": True}))

    def _read(self, source: str) -> bytes:
        path = self._loader.path_dwim(source)
        try:
            return pathlib.Path(path).read_bytes()
        except OSError as exc:
            raise AnsibleActionFail(f"daemon: {source} cannot be read on the controller: {exc.strerror}") from exc

    def _program(self, arguments: dict[str, t.Any]) -> _programs.Program:
        """The one place that decides where a program's bytes come from."""
        program = _programs.find(arguments["program"], str(arguments.get("version") or ""))
        return _supply.supplied(program, self._program_source, self._loader.path_dwim)

    def _binaries(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        """What the cache has of the program, by architecture."""
        program = self._program(arguments)
        found = {}
        for machine, arch in _programs.ARCHITECTURES.items():
            binaries = program.cached(arch)
            if binaries is not None:
                label = f"{program.name} {program.version}"
                found[machine] = [
                    {"name": name, "sha256": binary.sha256, "label": label} for name, binary in sorted(binaries.items())
                ]
        return found

    def _upload(self, missing: list[str], machine: str, arguments: dict[str, t.Any]) -> dict[str, str]:
        """Send the contents with these hashes, gzipped; where they lie on the host, by hash."""
        archives = {}
        if arguments.get("program"):
            program = self._program(arguments)
            binaries = program.cached(_programs.go_arch(machine)) or {}
            if any(binary.sha256 in missing and not binary.is_intact() for binary in binaries.values()):
                binaries = program.build(_programs.go_arch(machine), self._report)
            archives = {binary.sha256: binary.archive for binary in binaries.values()}
        directory = self._connection._shell.tmpdir or self._make_tmp_path()
        uploads = {}
        for digest in missing:
            uploads[digest] = self._connection._shell.join_path(directory, digest)
            if digest in archives:
                self._transfer_file(str(archives[digest]), uploads[digest])
            else:
                self._send_secret(self._secrets[digest], uploads[digest])
        return uploads

    def _send_secret(self, content: bytes, remote: str) -> None:
        with tempfile.NamedTemporaryFile() as stream:  # 0600 from its first moment
            stream.write(gzip.compress(content, mtime=0))
            stream.flush()
            self._transfer_file(stream.name, remote)

    def _report(self, line: str) -> None:
        Display().display(f"  {line}")
