# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""What the units of an interface run: ``up``, ``apply``, ``down`` and ``watch``, each with the interface's name."""

from __future__ import annotations

import os
import sys
import time

from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_key import WireGuardError
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_links import Links
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_live import Live, backend
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_place import Place
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_run import of_unit
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_wanted import Wanted, load_secrets
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_watch import Watch

PATIENCE = 10.0  # seconds until wireguard-go has made its socket


def up(place: Place) -> None:
    """An interface of the kernel, with all that is wanted of it."""
    Links(place.name, of_unit).add()
    apply(place)


def apply(place: Place) -> None:
    """All that is wanted of an interface that is there, or is just being made by wireguard-go."""
    with place.locked():
        Live(place, of_unit).apply(Wanted.load(place), *load_secrets(place))


def wait(place: Place) -> None:
    """Until wireguard-go has made the interface."""
    deadline = time.monotonic() + PATIENCE
    while not os.path.exists(place.socket):
        if time.monotonic() > deadline:
            raise WireGuardError(f"wireguard-go made no {place.socket} within {PATIENCE:.0f} s")
        time.sleep(0.02)


def down(place: Place) -> None:
    Live(place, of_unit).remove()
    Links(place.name, of_unit).remove()


def watch(place: Place) -> None:
    Watch(place, lambda: backend(place)).run()


VERBS = {"up": (up,), "start": (wait, apply), "apply": (apply,), "down": (down,), "watch": (watch,)}


def main(arguments: list[str]) -> int:
    verb, name = arguments
    try:
        for each in VERBS[verb]:
            each(Place(name))
    except (WireGuardError, OSError) as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0
