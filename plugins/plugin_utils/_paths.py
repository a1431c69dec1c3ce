# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""How two nodes will talk, foretold from their homes and kinds of NAT.

Source: the NAT table measured between network namespaces and with real tailscaled: a port-dependent filter (easy)
is punched from both sides, a port per destination (hard) cannot be guessed by a peer that filters by port. A carrier's
NAT is taken for a hard one, as the inventory cannot know better.
"""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils import _wireguard_paths
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_plain import of_plain

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Host, Model


def predicted_paths(model: Model) -> list[dict[str, str]]:
    """[{"from", "to", "predicted": "direct"|"relay"|"hub"|"unknown"}] for all ordered pairs of nodes."""
    if model["wireguard"]:
        return list(_wireguard_paths.predicted_paths(of_plain(model["wireguard"])))
    hosts = model["hosts"]
    return [
        {"from": source, "to": target, "predicted": predict(hosts[source], hosts[target])}
        for source, target in itertools.permutations(sorted(model["nodes"]), 2)
    ]


def predict(one: Host, other: Host) -> str:
    """The same for both directions: whichever side opens the path, both use it."""
    if one["home"] is not None and one["home"] == other["home"]:
        return "direct"
    kinds = {one["nat"], other["nat"]}
    if "udp-blocked" in kinds:
        return "relay"
    if "auto" in kinds:
        return "unknown"
    if kinds & {"public", "full-cone"}:
        return "direct"
    return "relay" if kinds & {"hard", "cgnat"} else "direct"
