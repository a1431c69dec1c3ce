# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""The preferences of a node that we decide, by tailscale's own names for them: wanted, current, and as flags."""

from __future__ import annotations

import typing as t

# A wanted preference: how `tailscale debug prefs` names it, and the flag of `tailscale set`.
FLAGS = {
    "Hostname": "hostname",
    "CorpDNS": "accept-dns",
    "RouteAll": "accept-routes",
    "AdvertiseRoutes": "advertise-routes",
    "RelayServerPort": "relay-server-port",
    "RunSSH": "ssh",
    "AutoUpdate.Check": "update-check",
    "AutoUpdate.Apply": "auto-update",
}
# `tailscale up` does not know these.
ONLY_SET = ("RelayServerPort", "AutoUpdate.Check", "AutoUpdate.Apply")


def wanted_preferences(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {
        "Hostname": params["hostname"],
        "CorpDNS": params["accept_dns"],
        "RouteAll": params["accept_routes"],
        "AdvertiseRoutes": sorted(params["advertise_routes"]),
        # 0 would be a port that the kernel chooses; none is no peer relay.
        "RelayServerPort": params["relay_port"] or None,
        "RunSSH": params["ssh"],
        # The program is pinned and put there by us: it must not replace itself.
        "AutoUpdate.Check": False,
        "AutoUpdate.Apply": False,
    }


def current_preferences(preferences: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    update = preferences.get("AutoUpdate") or {}
    return {
        "Hostname": preferences.get("Hostname") or "",
        "CorpDNS": bool(preferences.get("CorpDNS")),
        "RouteAll": bool(preferences.get("RouteAll")),
        "AdvertiseRoutes": sorted(preferences.get("AdvertiseRoutes") or []),
        "RelayServerPort": preferences.get("RelayServerPort"),
        "RunSSH": bool(preferences.get("RunSSH")),
        "AutoUpdate.Check": bool(update.get("Check")),
        "AutoUpdate.Apply": bool(update.get("Apply")),
    }


def flag(preference: str, value: t.Any) -> str:
    if value is None:
        value = ""
    text = ",".join(value) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else value
    return f"--{FLAGS[preference]}={text}"
