# SPDX-License-Identifier: MIT
"""What turns a topology into hosts. A provider is a module with the functions of `Provider`."""

from __future__ import annotations

import importlib
import sys
import typing as t
from pathlib import Path

from fleet import FleetError
from fleet.state import CHECKOUT, ROOT, State, prefix_of

if t.TYPE_CHECKING:
    from collections.abc import Collection

    from fleet.console import Console
    from fleet.topology import Topology

MODULES = {"nspawn": "fleet.nspawn", "lima": "fleet.lima"}
TOPOLOGIES = {"nspawn": "demo", "lima": str(CHECKOUT / "lima" / "topologies" / "mac.yml")}  # demo.sh's, if none is said


class Provider(t.Protocol):
    """The functions of a provider. Its fleet's inventory and SSH configuration lie where `State` says."""

    NAT_KINDS: Collection[str]

    def up(self, topology: Topology, state: State, console: Console) -> bool:
        """Make the fleet, or repair it; all hosts answer when this returns. False: it was up and whole already."""

    def down(self, state: State, console: Console) -> None:
        """Remove the fleet, whole or half-made; of one that is not there, nothing."""

    def running(self, topology: Topology, state: State) -> dict[str, bool]:
        """Whether each host runs, by name."""


def usual() -> str:
    """The provider that demo.sh takes on this machine if none is said."""
    return "lima" if sys.platform == "darwin" else "nspawn"


def state(name: str, topology: str) -> State:
    """Where the provider `name` keeps a fleet: nspawn's is root's, and lima's belongs to the person who runs it."""
    return State(prefix_of(topology), ROOT if name == "nspawn" else Path.home() / ".wonder-mesh")


def load(name: str) -> Provider:
    """The provider `name`."""
    if name not in MODULES:
        raise FleetError(f"there is no provider {name!r}; known are {', '.join(MODULES)}")
    return t.cast("Provider", importlib.import_module(MODULES[name]))
