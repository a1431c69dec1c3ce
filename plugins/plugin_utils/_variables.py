# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The variables of the inventory that say what the mesh is. Those of the roles are in their argument specs."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._types import BACKENDS, NATS, PROBE_PORT

if t.TYPE_CHECKING:
    from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Variable:
    """One of them: its type and choices as in argument specs, and what it is when it is not set.

    Of one that is for all, every host that has it must have the same.
    """

    description: str
    type: str
    default: str = ""
    choices: tuple[str, ...] = ()
    required: bool = False
    for_all: bool = False


VARIABLES: Mapping[str, Variable] = {
    "mesh_domain": Variable(
        "The base domain of node names, which exist in the mesh only. It is not the coordinator's own name, nor a "
        "parent of it.",
        "str",
        required=True,
        for_all=True,
    ),
    "mesh_backend": Variable(
        "What carries the mesh: Headscale and Tailscale, or plain WireGuard without a coordinator.",
        "str",
        BACKENDS[0],
        BACKENDS,
        for_all=True,
    ),
    "mesh_probe_port": Variable(
        "The TCP port that answers the probes of the proof on every node.", "int", str(PROBE_PORT), for_all=True
    ),
    "mesh_public_address": Variable(
        "The name or address under which the internet reaches the host; none behind NAT. The coordinator needs a name.",
        "str",
    ),
    "mesh_home": Variable("Which home the host is in. Hosts of one home share a LAN and its router.", "str"),
    "mesh_nat": Variable(
        "What the host's router does, from which the proof predicts paths. C(auto) is measured where two relays answer "
        "STUN, and else predicts nothing.",
        "str",
        "C(public) with C(mesh_public_address), else C(auto)",
        NATS,
    ),
    "mesh_services": Variable(
        "What the node serves, as a list of C({name, host, port, path, health}). The gateways publish it as "
        "C(https://HOST/PATH). Entries of several nodes that are equal in name, host and path are replicas of one "
        "service, the first in the inventory preferred. A replica is healthy while C(health) (default C(/)) answers "
        "below 400. C(h2c: true) is for a program that speaks HTTP/2 without TLS only, like those of gRPC. "
        "With C(protocol: tls) the gateways pass on what comes for C(host) at port 443, and the node has "
        "the certificate. With C(protocol: tcp) or C(udp) they listen on C(public_port) (default: C(port)), and "
        "C(host) may be left out; both ports may be ranges of one length, like C(8000-8010). "
        "C(proxy_protocol: true) tells a node the client's address by the PROXY protocol, version 2 (tcp, tls). For "
        "udp, C(health) is a text that the program answers, by which the proof sees it.",
        "list",
        "C([])",
    ),
    "mesh_admins": Variable(
        "The nodes, and the people as C(name@) or C(name@example.com), who reach SSH of every node.",
        "list",
        "C([])",
        for_all=True,
    ),
    "mesh_groups": Variable(
        "Groups of people, as a mapping like C({family: [alice@example.com, bob@]}). C(mesh_grants) and C(mesh_admins) "
        "name them as C(group:family).",
        "dict",
        "C({})",
        for_all=True,
    ),
    "mesh_grants": Variable(
        'Further permissions, as a list of C({from: [laptop], to: [nas], ports: ["tcp:445"]}). Nodes may be named by a '
        "tag, and people by their group; C(from) may name people too.",
        "list",
        "C([])",
        for_all=True,
    ),
    "mesh_result_file": Variable(
        "Where the proof goes, on the controller.", "path", "C(result.json) beside the inventory", for_all=True
    ),
    "mesh_verify_paths": Variable(
        "Whether a path other than predicted breaks a promise (C(strict)) or is a warning with its likely reason.",
        "str",
        "warn",
        ("warn", "strict"),
        for_all=True,
    ),
    "mesh_dns_check": Variable(
        "Whether a host's public name that does not lead to it ends the run (C(strict)) or is a warning. The name of a "
        "service that leads to no gateway is always a warning.",
        "str",
        "strict",
        ("strict", "warn"),
        for_all=True,
    ),
    "mesh_remove_data": Variable(
        "For a removal: whether the data go too, which are the coordinator's database and keys, the identity of a "
        "node, and certificates that Caddy got by itself.",
        "bool",
        "false",
    ),
}
