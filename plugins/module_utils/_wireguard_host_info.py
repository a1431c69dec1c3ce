# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""All that a run would compare on a host of a WireGuard mesh, read at once."""

from __future__ import annotations

import os
import platform
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._intact import intact_daemons
from ansible_collections.wonder.mesh.plugins.module_utils._systemd import Systemd
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_look import look

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.module_utils._systemd import RunCommand

TAILSCALE = "/run/tailscale/tailscaled.sock"


def answer(run_command: RunCommand, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
    """What the module wireguard_host_info returns."""
    return {
        "changed": False,
        "machine": platform.machine(),
        "daemons": intact_daemons(Systemd(run_command)),
        "tailscale": os.path.exists(TAILSCALE),
        "wireguard": look(run_command, arguments["interface"]),
    }
