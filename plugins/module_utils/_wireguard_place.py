# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""Where an interface keeps what it needs on its host."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._files import write_atomically

if t.TYPE_CHECKING:
    from collections.abc import Iterator

ETC = "/etc/wonder-mesh"
LIBRARY = "/usr/local/lib/wonder-mesh"
RUN = "/run"
SYSCTL = "/proc/sys/net"
MODULE = "/sys/module/wireguard"


@dataclasses.dataclass(frozen=True)
class Place:
    """The paths of the interface ``name``."""

    name: str

    @property
    def directory(self) -> str:
        return os.path.join(ETC, "wireguard")

    def file(self, what: str) -> str:
        return os.path.join(self.directory, f"{self.name}.{what}")

    @property
    def key(self) -> str:
        return self.file("key")

    @property
    def wanted(self) -> str:
        """The table, the rules and the names, without secrets."""
        return self.file("json")

    @property
    def preshared(self) -> str:
        """The pre-shared keys by the names of peers."""
        return self.file("preshared.json")

    @property
    def registry(self) -> str:
        return self.file("registry.json")

    @property
    def agent(self) -> str:
        return os.path.join(LIBRARY, f"wireguard-{self.name}.pyz")

    @property
    def socket(self) -> str:
        return os.path.join(RUN, "wireguard", f"{self.name}.sock")

    @property
    def runtime(self) -> str:
        """What is forgotten when the interface goes."""
        return os.path.join(RUN, f"wireguard-{self.name}")

    @property
    def unit(self) -> str:
        return f"wireguard-{self.name}.service"

    @property
    def watch_unit(self) -> str:
        return f"wireguard-{self.name}-watch.service"

    def recall(self, what: str) -> dict[str, t.Any]:
        """What was noted until the interface goes; empty if nothing was."""
        try:
            with open(os.path.join(self.runtime, f"{what}.json"), encoding="utf-8") as stream:
                found = json.load(stream)
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def note(self, what: str, content: dict[str, t.Any]) -> None:
        if self.recall(what) != content:
            path = os.path.join(self.runtime, f"{what}.json")
            write_atomically(path, json.dumps(content, sort_keys=True).encode())

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One at a time changes the interface."""
        descriptor = os.open(self.runtime, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
