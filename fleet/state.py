# SPDX-License-Identifier: MIT
"""Where a fleet keeps what it has: a root-only directory under /var/lib/wonder-mesh, named by the fleet's prefix.

The prefix comes from the checkout's place and the topology's name, so two checkouts do not meet, and a new clone at the
same place finds what a killed run of the old one left behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import typing as t
from pathlib import Path

from fleet import FleetError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet.topology import Topology

CHECKOUT = Path(__file__).resolve().parent.parent
ROOT = Path("/var/lib/wonder-mesh")
INHERITED = "WONDER_MESH_LOCK_FD"  # set by demo.sh, which takes the lock before there is a Python to run


def prefix_of(topology: str) -> str:
    """The prefix of all that a fleet makes; demo.sh computes the same."""
    name = str(Path(topology).resolve()) if "/" in topology else topology
    return "wm" + hashlib.sha256(f"{CHECKOUT}\n{name}\n".encode()).hexdigest()[:6]


class State:
    """The paths of one fleet's state directory, and the record that is written when the fleet is whole."""

    def __init__(self, prefix: str, root: Path = ROOT) -> None:
        self.prefix = prefix
        self.path = root / prefix
        self.lock = self.path / "lock"
        self.record = self.path / "fleet.json"
        self.inventory = self.path / "inventory" / "hosts.yml"
        self.ssh_config = self.path / "ssh_config"
        self.ssh_key = self.path / "id_ed25519"
        self.known_hosts = self.path / "known_hosts"
        self.control = self.path / "cm"  # short: a socket's whole path may have 107 characters
        self.authority = self.path / "ca.pem"
        self.certificates = self.path / "certificates"
        self.hosts = self.path / "hosts"

    def host(self, name: str) -> Path:
        """A host's directory: upper, work and root of its overlay, and console.log."""
        return self.hosts / name

    def complete(self, topology: Topology, tree: Path) -> None:
        """Record that the fleet came up whole, and from what."""
        text = json.dumps({"topology": topology.name, "digest": digest(topology), "tree": str(tree)})
        partial = self.record.with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.rename(self.record)

    def completed(self) -> dict[str, str] | None:
        """What `complete` recorded, or None for a fleet that is not there or was interrupted on its way."""
        if not self.record.is_file():
            return None
        return t.cast("dict[str, str]", json.loads(self.record.read_text(encoding="utf-8")))

    def clear(self) -> None:
        """Remove all but the lock."""
        for path in self.path.iterdir():
            if path != self.lock:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def forget(self) -> None:
        """Remove a directory that holds nothing but the lock: no fleet came of the run that made it."""
        if self.path.is_dir() and all(path == self.lock for path in self.path.iterdir()):
            self.remove()

    def remove(self) -> None:
        """Remove the directory, and the one above it if no other fleet has one."""
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()


def digest(topology: Topology) -> str:
    """What tells whether a topology's file has changed since a fleet was made from it."""
    return hashlib.sha256(topology.source.encode()).hexdigest()


@contextlib.contextmanager
def locked(state: State) -> Iterator[None]:
    """Be the only one who changes this fleet; whoever comes second is told who is first."""
    inherited = os.environ.pop(INHERITED, None)
    if inherited is not None:  # demo.sh holds it already; the children that we start must not keep it
        os.set_inheritable(int(inherited), False)
        held: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    else:
        held = _take(state)
    with held:
        try:
            yield
        finally:
            state.forget()


def _take(state: State) -> t.TextIO:
    """The locked file, open, with our pid in it. A run that is just ending removes it; then it is made anew."""
    while True:
        state.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = state.lock.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            pid = file.read().strip()
            file.close()
            raise FleetError(
                f"another run of this fleet is at work (process {pid}); wait for it, or end it and start again"
            ) from None
        if os.fstat(file.fileno()).st_nlink:
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            return file
        file.close()
