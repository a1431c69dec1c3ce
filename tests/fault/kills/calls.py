# SPDX-License-Identifier: MIT
"""A call of a module as Ansible sent it to a host, and the same call with other arguments."""

from __future__ import annotations

import ast
import copy
import dataclasses
import json
import re
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable

SENT = "/run/kills/sent"
PARAMETERS = re.compile(r"^params=(.+),$", re.MULTILINE)
MODULE = re.compile(r"^ansible_module='wonder\.mesh\.(\w+)',$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Call:
    """The program that Ansible sends, with its arguments in it."""

    module: str
    text: str

    @classmethod
    def of(cls, text: str) -> Call | None:
        """None for a module that is not ours."""
        found = MODULE.search(text)
        return cls(found[1], text) if found else None

    @property
    def arguments(self) -> dict[str, t.Any]:
        found = PARAMETERS.search(self.text)
        assert found, "this version of Ansible sends arguments in another form"
        arguments: dict[str, t.Any] = json.loads(ast.literal_eval(found[1]))["ANSIBLE_MODULE_ARGS"]
        return arguments

    @property
    def name(self) -> str:
        """The module, or the daemon that it is called for."""
        return str(self.arguments["name"]) if self.module == "daemon" else self.module

    @property
    def units(self) -> list[str]:
        """The units of a daemon."""
        units: list[str] = self.arguments["units"]
        return units

    def with_arguments(self, **changes: t.Any) -> Call:
        parameters = repr(json.dumps({"ANSIBLE_MODULE_ARGS": self.arguments | changes}))
        return dataclasses.replace(self, text=PARAMETERS.sub(lambda _: f"params={parameters},", self.text))

    def with_content(self, path: str, old: str, new: str) -> Call:
        """Of a daemon: with another text in one of its files."""
        files = copy.deepcopy(self.arguments["files"])
        file = next(each for each in files if each["path"] == path)
        assert old in file["content"], f"{old} is not in {path}"
        file["content"] = file["content"].replace(old, new)
        return self.with_arguments(files=files)

    def with_programs(self, other: dict[str, str], machine: str = "x86_64") -> Call:
        """Of a daemon: with other builds, by the hashes of those that they replace."""
        arguments = self.arguments
        binaries = copy.deepcopy(arguments["binaries"])
        for each in binaries[machine]:
            each["sha256"] = other[each["sha256"]]
        uploads = {other.get(digest, digest): path for digest, path in arguments["uploads"].items()}
        return self.with_arguments(binaries=binaries, uploads=uploads).with_uploads()

    def with_uploads(self) -> Call:
        """With what was sent where it is kept, by its hash."""
        return self.with_arguments(uploads={digest: f"{SENT}/{digest}" for digest in self.arguments["uploads"]})


def last_of_each(texts: Iterable[str]) -> dict[str, Call]:
    """The call of each name that did the work: of those of one task, it is the last one, and has all that it needs."""
    found = {}
    for text in texts:
        call = Call.of(text)
        if call:
            found[call.name] = call.with_uploads() if call.arguments.get("uploads") else call
    return found
