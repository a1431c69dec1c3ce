# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""What a tailscaled that does not run will be once it does, from the files that it keeps. For check mode only.

Read are the state file (format of 1.102: JSON, values in base64) and the cached network map; both are tailscaled's own
and may change, so whatever is not understood there counts as absent. No private key leaves this file.
"""

from __future__ import annotations

import base64
import json
import os
import typing as t

# The cache names its files by what is in them, in hexadecimal.
SELF = b"self".hex()
NO_KEY = "privkey:" + 64 * "0"
# The preferences that somebody asks for; the key pair lies among the others.
PUBLIC = (
    "AdvertiseRoutes",
    "AutoUpdate",
    "ControlURL",
    "CorpDNS",
    "Hostname",
    "LoggedOut",
    "RelayServerPort",
    "RouteAll",
    "RunSSH",
)


def at_rest(directory: str) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """The status and the preferences that `tailscale` would show; when nothing is there, those of no node."""
    status: dict[str, t.Any] = {"BackendState": "NeedsLogin", "HaveNodeKey": False}
    try:
        state = _json(os.path.join(directory, "tailscaled.state"))
        profile = base64.b64decode(state["_current-profile"]).decode()
        kept = json.loads(base64.b64decode(state[profile]))
        has_key = (kept.get("Config") or {}).get("PrivateNodeKey", NO_KEY) != NO_KEY
        preferences = {name: kept[name] for name in PUBLIC if name in kept}
        wants = bool(kept["WantRunning"])
    except (AttributeError, KeyError, OSError, TypeError, ValueError):
        return status, {}
    if has_key and not kept.get("LoggedOut"):
        status = {"BackendState": "Running" if wants else "Stopped", "HaveNodeKey": True}
        status |= _self(os.path.join(directory, "profile-data", profile.rpartition("-")[2], "netmap-cache", SELF))
    return status, preferences


def _self(path: str) -> dict[str, t.Any]:
    try:
        node = _json(path)["Node"]
        addresses = [str(each).partition("/")[0] for each in node["Addresses"]]
        return {"TailscaleIPs": addresses, "Self": {"PublicKey": str(node["Key"])}}
    except (KeyError, OSError, TypeError, ValueError):
        return {}


def _json(path: str) -> t.Any:
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)
