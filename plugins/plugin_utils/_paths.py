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
from ansible_collections.wonder.mesh.plugins.plugin_utils._types import NATS
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_plain import of_plain

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Host, Model

    Nats = Mapping[str, Collection[str]]  # by host, the kinds of NAT that it may be behind

AUTO = "auto"
KINDS = frozenset(NATS) - {AUTO}


def predicted_paths(model: Model, measured: Nats | None = None) -> list[dict[str, str]]:
    """[{"from", "to", "predicted": "direct"|"relay"|"hub"|"unknown"}] for all ordered pairs of nodes.

    measured: what is known of hosts whose kind the inventory leaves open.
    """
    if model["wireguard"]:
        return list(_wireguard_paths.predicted_paths(of_plain(model["wireguard"])))
    hosts = model["hosts"]
    return [
        {"from": source, "to": target, "predicted": predict(hosts[source], hosts[target], measured or {})}
        for source, target in itertools.permutations(sorted(model["nodes"]), 2)
    ]


def predict(one: Host, other: Host, measured: Nats) -> str:
    """The same for both directions: whichever side opens the path, both use it."""
    if one["home"] is not None and one["home"] == other["home"]:
        return "direct"
    kinds = [measured.get(host["name"], KINDS) if host["nat"] == AUTO else {host["nat"]} for host in (one, other)]
    found = {predict_kinds(*pair) for pair in itertools.product(*kinds)}
    return found.pop() if len(found) == 1 else "unknown"


def predict_kinds(one: str, other: str) -> str:
    """The path between two homes behind these kinds of NAT."""
    kinds = {one, other}
    if "udp-blocked" in kinds:
        return "relay"
    if kinds & {"public", "full-cone"}:
        return "direct"
    return "relay" if kinds & {"hard", "cgnat"} else "direct"


def kinds_behind(mappings: Sequence[str]) -> frozenset[str]:
    """The kinds of NAT that map like this; mappings: where each STUN server saw one socket, "" if it did not answer.

    Whom a NAT lets in cannot be asked of these servers, so it may be kinder than another one that maps like it.
    """
    seen = [each for each in mappings if each]
    if len(mappings) > 1 and not seen:
        return frozenset({"udp-blocked"})
    if len(seen) < 2:
        return KINDS
    return frozenset({"hard", "cgnat"} if len(set(seen)) > 1 else {"public", "easy", "full-cone"})
