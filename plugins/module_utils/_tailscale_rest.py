# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""What a tailscaled will be once it starts, from the files that it keeps: its state, and its network map.

The state file (format of 1.102: JSON, values in base64) and the cached network map are tailscaled's own and may change,
so whatever is not understood there counts as absent. No private key leaves this file.
"""

from __future__ import annotations

import base64
import json
import os
import typing as t

# The cache names its files by what is in them, in hexadecimal.
SELF, DERP_MAP = b"self".hex(), b"derpmap".hex()
NO_KEY = "privkey:" + 64 * "0"
DAMAGES = (AttributeError, KeyError, OSError, TypeError, ValueError)
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
        kept = _kept(directory)
        preferences = {name: kept[name] for name in PUBLIC if name in kept}
        if _is_node(kept):
            status = {"BackendState": "Running" if kept["WantRunning"] else "Stopped", "HaveNodeKey": True}
            status |= _self(_netmap_cache(directory))
    except DAMAGES:
        return status, {}
    return status, preferences


def home(directory: str) -> dict[str, t.Any]:
    """Where the node is at home after a boot without its coordinator, from the map that it keeps for that.

    The ``region`` by its number, 0 for any, and the codes of all ``regions`` by their numbers; numbers are texts, as in
    the map. Empty of a node that is not connected, and of one without a map.
    """
    try:
        kept, cache = _kept(directory), _netmap_cache(directory)
        if not (_is_node(kept) and kept["WantRunning"]):
            return {}
        regions = _json(os.path.join(cache, DERP_MAP))["DERPMap"]["Regions"]
        return {
            "region": str(_json(os.path.join(cache, SELF))["Node"].get("HomeDERP", 0)),
            "regions": {str(number): str(region["RegionCode"]) for number, region in regions.items()},
        }
    except DAMAGES:
        return {}


def forget_home(directory: str) -> None:
    """Make the node, which must not run, look for a home when it starts. The rest of its map it keeps."""
    cache = _netmap_cache(directory)
    path = os.path.join(cache, SELF)
    kept = _json(path)
    kept["Node"]["HomeDERP"] = 0
    owner = os.stat(path)
    # Not beside it, where tailscaled makes no sense of a file that is not its own.
    new = os.path.join(os.path.dirname(cache), "wonder-mesh.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with open(os.open(new, flags, 0o600), "w", encoding="utf-8") as stream:
        os.fchown(stream.fileno(), owner.st_uid, owner.st_gid)
        json.dump(kept, stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(new, path)


def _netmap_cache(directory: str) -> str:
    """Where the network map is kept. Raises one of DAMAGES when there is no state."""
    return os.path.join(directory, "profile-data", _profile(_state(directory)).rpartition("-")[2], "netmap-cache")


def _state(directory: str) -> dict[str, t.Any]:
    state: dict[str, t.Any] = _json(os.path.join(directory, "tailscaled.state"))
    return state


def _profile(state: dict[str, t.Any]) -> str:
    return base64.b64decode(state["_current-profile"]).decode()


def _kept(directory: str) -> dict[str, t.Any]:
    """The preferences, with the keys among them."""
    state = _state(directory)
    kept: dict[str, t.Any] = json.loads(base64.b64decode(state[_profile(state)]))
    return kept


def _is_node(kept: dict[str, t.Any]) -> bool:
    has_key = (kept.get("Config") or {}).get("PrivateNodeKey", NO_KEY) != NO_KEY
    return has_key and not kept.get("LoggedOut")


def _self(cache: str) -> dict[str, t.Any]:
    try:
        node = _json(os.path.join(cache, SELF))["Node"]
        addresses = [str(each).partition("/")[0] for each in node["Addresses"]]
        return {"TailscaleIPs": addresses, "Self": {"PublicKey": str(node["Key"])}}
    except DAMAGES:
        return {}


def _json(path: str) -> t.Any:
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)
