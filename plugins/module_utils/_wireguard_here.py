# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""What is asked of the host itself before an interface is looked at."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils import _wireguard_place
from ansible_collections.wonder.mesh.plugins.module_utils._daemon import STATE_ROOT
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_firewall import Firewall
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_key import WireGuardError
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_run import of_module

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.module_utils._systemd import RunCommand

TUN = "/dev/net/tun"


def refuse_bare_host(name: str, userspace: bool, run_command: RunCommand) -> None:
    """What an interface needs and no run can bring is noticed before anything is changed."""
    Firewall(name, of_module(run_command)).listed()
    if userspace and not os.path.exists(TUN):
        raise WireGuardError(
            f"the host has neither WireGuard in its kernel nor {TUN}. Load the module wireguard, or give the host "
            "(if it is a container) a TUN device"
        )


def is_userspace(implementation: str, run_command: RunCommand) -> bool:
    """Whether the interface is a process: if it is told so, or the kernel has no WireGuard."""
    if implementation != "auto":
        return implementation == "userspace"
    if os.path.isdir(_wireguard_place.MODULE):
        return False
    rc, _out, _err = of_module(run_command)(["modprobe", "--dry-run", "--quiet", "wireguard"], "")
    return rc != 0


def read_text(path: str) -> str:
    """Empty if there is no such file, or no text in it."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except (OSError, UnicodeDecodeError):
        return ""


def state_directory(name: str) -> str:
    return os.path.join(STATE_ROOT, f"wireguard-{name}")
