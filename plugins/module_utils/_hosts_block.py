# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""Our lines in /etc/hosts: a block between two marks, while all other lines stay as they are."""

from __future__ import annotations

import os
import stat
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._difference import Difference
from ansible_collections.wonder.mesh.plugins.module_utils._files import remove, staged_path, write_atomically

BEGIN, END = "# BEGIN names of the mesh {}", "# END names of the mesh {}"


class HostsBlock:
    """The names of nodes with their addresses, for one interface; without names there is no block."""

    def __init__(self, names: t.Mapping[str, t.Sequence[str]], interface: str, path: str = "/etc/hosts") -> None:
        self._begin, self._end = BEGIN.format(interface), END.format(interface)
        self._wanted = [f"{address} {name}" for name in sorted(names) for address in names[name]]
        self._name, self._path = path, os.path.realpath(path)

    def difference(self) -> Difference | None:
        """What is not as wanted; None if all is. A diff shows our lines and no others."""
        before = self._lines_of_ours(self._read())
        if before == self._wanted and self._is_whole(self._read()):
            return None
        return Difference(self._name, _text(before), _text(self._wanted))

    def write(self) -> None:
        """Make it so; owner and mode of the file stay."""
        found = os.stat(self._path) if os.path.exists(self._path) else None
        write_atomically(
            self._path,
            self._after(self._read()).encode(errors="surrogateescape"),
            stat.S_IMODE(found.st_mode) if found else 0o644,
        )
        if found and (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(self._path, found.st_uid, found.st_gid)

    def forget(self) -> None:
        """Remove what a killed run had written beside the file."""
        remove(staged_path(self._path))

    def _read(self) -> str:
        try:
            with open(self._path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
                return stream.read()
        except FileNotFoundError:
            return ""

    def _split(self, text: str) -> tuple[list[str], list[str]]:
        """The lines of others and ours. A block that nothing ends is only its mark: what follows may be of others."""
        lines, others, ours = text.splitlines(keepends=True), [], []
        marks = [line.rstrip("\r\n") for line in lines]
        place = 0
        while place < len(lines):
            if marks[place] == self._begin and self._end in marks[place:]:
                end = marks.index(self._end, place)
                ours += marks[place + 1 : end]
                place = end
            elif marks[place] not in (self._begin, self._end):
                others.append(lines[place])
            place += 1
        return others, ours

    def _lines_of_ours(self, text: str) -> list[str]:
        return self._split(text)[1]

    def _is_whole(self, text: str) -> bool:
        """Whether each mark is there once, or neither where nothing is wanted."""
        marks = text.splitlines()
        wanted = 1 if self._wanted else 0
        return marks.count(self._begin) == wanted and marks.count(self._end) == wanted

    def _after(self, text: str) -> str:
        others = "".join(self._split(text)[0])
        if not self._wanted:
            return others
        if others and not others.endswith("\n"):
            others += "\n"
        return others + _text([self._begin, *self._wanted, self._end])


def _text(lines: t.Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
