# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""What a run would find of an interface, read once for all tasks of the run. Reads only, and never raises."""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._daemon import Applied, Daemon, DaemonError, plan
from ansible_collections.wonder.mesh.plugins.module_utils._hosts_block import HostsBlock
from ansible_collections.wonder.mesh.plugins.module_utils._intact import has_leftovers
from ansible_collections.wonder.mesh.plugins.module_utils._systemd import Systemd, SystemdError
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_daemon import PROGRAM
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_here import (
    is_userspace,
    read_text,
    state_directory,
)
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_key import KeyFile, WireGuardError
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_live import Live
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_obstacles import obstacles
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_place import Place
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_run import of_module
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_wanted import Wanted, load_secrets

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.module_utils._systemd import RunCommand


def look(run_command: RunCommand, name: str = "wm0") -> dict[str, t.Any]:
    """{"public_key": empty if there is none, "error": what is wrong with the key, "registry": its text, "identity":
    that of what was wanted last, empty unless all of the host is still like that, "userspace": whether it is a process,
    "obstacles": chains that drop what the host forwards, "preshared_sha256": that of its file of pre-shared keys}
    """
    place = Place(name)
    found = {"public_key": "", "error": "", "registry": read_text(place.registry), "identity": "", "userspace": False}
    found["obstacles"] = obstacles(name, of_module(run_command))
    found["preshared_sha256"] = hashlib.sha256(read_text(place.preshared).encode()).hexdigest()
    try:
        found["public_key"] = KeyFile(place.key).public_key()
    except (WireGuardError, OSError) as exc:
        found["error"] = str(exc)
    try:
        daemon = _remembered(name)
        found["userspace"] = (
            is_userspace("auto", run_command)
            if daemon is None
            else any(file.path.endswith(f"/{PROGRAM}") for file in daemon.files)
        )
        if daemon is not None and found["public_key"] and _is_as_wanted(daemon, place, run_command):
            found["identity"] = daemon.identity
    except (WireGuardError, DaemonError, SystemdError, OSError, ValueError, KeyError, TypeError):
        pass  # the task itself will say what it finds
    return found


def _remembered(name: str) -> Daemon | None:
    directory = state_directory(name)
    try:
        return Daemon.described(Applied.load(directory).wanted)
    except (KeyError, TypeError):
        return None


def _is_as_wanted(daemon: Daemon, place: Place, run_command: RunCommand) -> bool:
    systemd = Systemd(run_command)
    states = systemd.states(list(daemon.units))
    wanted = Wanted.load(place)
    return (
        not has_leftovers(daemon)
        and KeyFile(place.key).look(False) == "right"
        and states[place.watch_unit].running
        and plan(daemon, Applied.load(daemon.state_directory), states[daemon.unit]).empty
        and Live(place, of_module(run_command)).differences(wanted, *load_secrets(place)) == ("", "")
        and HostsBlock(t.cast("t.Any", wanted.names), place.name).difference() is None
    )
