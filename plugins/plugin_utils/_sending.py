# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The controller's half of a module that is told hashes of what it needs, and asks for what its host lacks."""

from __future__ import annotations

import abc
import contextlib
import gzip
import hashlib
import tempfile
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs, _reading, _supply, _trial

# Go is asked here, once, and not in each process that Ansible forks for a host. Who has none is told when it is needed.
with contextlib.suppress(_programs.ProgramError):
    _programs.go_version()


class SendingAction(ActionBase, abc.ABC):
    """An action that sends programs and contents apart from the arguments of its ``module``, and only when asked."""

    _supports_check_mode = True
    module: str
    errors: tuple[type[Exception], ...] = (_programs.ProgramError,)

    @abc.abstractmethod
    def _resolve(self) -> dict[str, t.Any]:
        """The module's arguments, made of the task's."""

    @abc.abstractmethod
    def _known(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any] | None:
        """What the module would say, if this is known from what was read of the host before."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        self._contents: dict[str, bytes] = {}  # what is sent apart, by its hash
        try:
            arguments = self._resolve()
            arguments["trial"] = _trial.new_trial()
            return self._known(arguments, variables) or self._converge(arguments, variables)
        except self.errors as exc:
            raise AnsibleActionFail(str(exc)) from None  # Ansible would say all of it twice
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)

    def _apart(self, content: bytes) -> str:
        """The hash to say in the arguments instead of this content."""
        digest = hashlib.sha256(content).hexdigest()
        self._contents[digest] = content
        return digest

    def _expect(self, name: str, version: object, source: object) -> dict[str, t.Any]:
        """What the cache has of the program that the host is to run, by architecture: the argument ``binaries``.

        The one place that decides where a program's bytes come from. Raises ProgramError.
        """
        found = _programs.find(name, str(version or ""))
        self._program = _supply.supplied(found, source, self._loader.path_dwim)
        return self._binaries()

    def _binaries(self) -> dict[str, t.Any]:
        label = f"{self._program.name} {self._program.version}"
        return {
            machine: [{"name": name, "sha256": each.sha256, "label": label} for name, each in sorted(cached.items())]
            for machine, arch in _programs.ARCHITECTURES.items()
            if (cached := self._program.cached(arch)) is not None
        }

    def _converge(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        answer = self._call(arguments, variables)
        if answer.get("missing") == ["program"]:
            # The first host of its architecture: the cache has nothing for it yet.
            self._program.build(_programs.go_arch(answer["machine"]), _report)
            arguments["binaries"] = self._binaries()
            answer = self._call(arguments, variables)
        if answer.get("missing") and not answer.get("failed"):
            arguments["uploads"] = self._upload(answer["missing"], answer["machine"])
            answer = self._call(arguments, variables)
        return answer

    def _call(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        return _trial.see_through(
            self, arguments["trial"], lambda: _reading.call(self, self.module, arguments, variables), variables
        )

    def _upload(self, missing: list[str], machine: str) -> dict[str, str]:
        """Send the contents with these hashes, gzipped; where they lie on the host, by hash."""
        archives = self._archives(set(missing) - self._contents.keys(), _programs.go_arch(machine))
        directory = self._connection._shell.tmpdir or self._make_tmp_path()
        uploads = {}
        for digest in missing:
            uploads[digest] = self._connection._shell.join_path(directory, digest)
            if digest in archives:
                self._transfer_file(archives[digest], uploads[digest])
            else:
                self._send(self._contents[digest], uploads[digest])
        return uploads

    def _archives(self, digests: set[str], arch: str) -> dict[str, str]:
        """The paths of the program's binaries, by hash. What the cache has damaged is built anew."""
        if not digests:
            return {}
        binaries = self._program.cached(arch) or {}
        if not digests <= {each.sha256 for each in binaries.values() if each.is_intact()}:
            binaries = self._program.build(arch, _report)
        return {each.sha256: str(each.archive) for each in binaries.values()}

    def _send(self, content: bytes, remote: str) -> None:
        with tempfile.NamedTemporaryFile() as stream:  # 0600 from its first moment
            stream.write(gzip.compress(content, mtime=0))
            stream.flush()
            self._transfer_file(stream.name, remote)


def _report(line: str) -> None:
    Display().display(f"  {line}")
