# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""All that a run would compare on a host, read at once."""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._derp import certificates
from ansible_collections.wonder.mesh.plugins.module_utils._derp_map import published
from ansible_collections.wonder.mesh.plugins.module_utils._headscale import (
    CONNECTION,
    NODES,
    Headscale,
    HeadscaleError,
    current_policy,
)
from ansible_collections.wonder.mesh.plugins.module_utils._intact import intact_daemons
from ansible_collections.wonder.mesh.plugins.module_utils._node import ARGUMENTS as NODE
from ansible_collections.wonder.mesh.plugins.module_utils._systemd import Systemd
from ansible_collections.wonder.mesh.plugins.module_utils._tailscale import Tailscale, TailscaleError
from ansible_collections.wonder.mesh.plugins.module_utils._tailscale_rest import PUBLIC, home

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.module_utils._systemd import RunCommand


def answer(run_command: RunCommand, _arguments: dict[str, t.Any]) -> dict[str, t.Any]:
    """What the module mesh_host_info returns."""
    return {
        "changed": False,
        "machine": os.uname().machine,
        "daemons": intact_daemons(Systemd(run_command)),
        "node": node(run_command),
        "headscale": headscale(run_command),
        "relays": relays(run_command),
    }


def node(run_command: RunCommand) -> dict[str, t.Any]:
    """What tailscale_node reads before it decides."""
    binary, socket = NODE["binary"]["default"], NODE["socket"]["default"]
    if not os.path.exists(socket):
        return {}
    tailscale = Tailscale(run_command, binary, socket)
    try:
        status, preferences = tailscale.status(), tailscale.preferences()
    except (TailscaleError, ValueError):
        return {}
    own = {name: status.get(name) for name in ("BackendState", "HaveNodeKey", "TailscaleIPs")}
    own["Self"] = {name: (status.get("Self") or {}).get(name) for name in ("PublicKey", "Relay")}
    known = {name: preferences.get(name) for name in PUBLIC}
    return {"status": own, "preferences": known, "home": home(NODE["state_directory"]["default"])}


def headscale(run_command: RunCommand) -> dict[str, t.Any]:
    """What headscale_policy and headscale_node read before they decide."""
    connection = {name: option["default"] for name, option in CONNECTION.items()}
    server = Headscale(run_command, connection, may_write=False)
    # One whose key must be renewed is left to those who may do that.
    if not server.has_lasting_key:
        return {}
    with contextlib.suppress(HeadscaleError):
        return {"policy": current_policy(server), "nodes": server.call("GET", NODES)["nodes"]}
    return {}


def relays(run_command: RunCommand) -> dict[str, t.Any]:
    """What derper_certificate and headscale_relays_info read before they decide."""
    found: dict[str, t.Any] = {"published": [], "certificates": certificates(run_command)}
    with contextlib.suppress(OSError):
        found["published"] = published()
    return found
