# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""What Headscale itself tests of a policy before it takes it. Only permissions of the inventory are read, no grants.

Headscale counts a destination as open when one of its addresses is, and a source as let through when all of its are:
so what must be open is asked for one node at a time, and what must be closed of one node at a time.
"""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._permissions import permission
from ansible_collections.wonder.mesh.plugins.plugin_utils._plan import listened, nodes_of
from ansible_collections.wonder.mesh.plugins.plugin_utils._types import SSH_PORT

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model

ALL_NODES = "tag:node"
GATEWAYS = "tag:gateway"
RELAYS = "tag:relay"
SAMPLE = 8  # nodes on each side, where all pairs would be too many; in a small mesh it is all of them
ROOT = "root"
UNUSED_PORT = 9  # nothing of ours is there

Assertion = tuple[str, str, str]  # source, protocol ("" for any), destination with its port


class Need(t.TypedDict):
    """What no policy may take away: a test that must pass, and what it is for."""

    src: str
    proto: str  # tcp, udp, or ssh for a login where tailscaled answers SSH
    dst: str
    what: str


def policy_tests(model: Model) -> list[dict[str, t.Any]]:
    """The ``tests`` of the policy: each grant and service, and a sample of what must be refused. Sorted."""
    needs = [need for need in policy_needs(model) if need["proto"] != "ssh"]
    needed = {(need["src"], need["proto"], need["dst"]) for need in needs if _is_tag(need["src"])}
    accept = needed | set(_open(model))
    found: dict[tuple[str, str], dict[str, t.Any]] = {}
    for key, assertions in (("accept", accept), ("deny", set(_closed(model)))):
        for source, protocol, destination in sorted(assertions):
            test = found.setdefault((source, protocol), {"src": source} | ({"proto": protocol} if protocol else {}))
            test.setdefault(key, []).append(destination)
    return [found[key] for key in sorted(found)]


def policy_needs(model: Model) -> list[Need]:
    """What any policy must leave open, also one of the user's own: SSH for mesh_admins, and published services.

    In this order, since a refusal tells only some, and who is cut off by SSH cannot mend the rest.
    """
    return [*_of_admins(model), *_of_services(model)]


def ssh_tests(model: Model) -> list[dict[str, t.Any]]:
    """The ``sshTests`` of the policy: which nodes log in where tailscaled answers SSH, and a sample of which do not."""
    tests = []
    for node in model["ssh_nodes"]:
        for source in (each for each in model["nodes"] if each != node):
            verdict = "accept" if source in model["admins"]["nodes"] else "deny"
            if verdict == "accept" or source in _sample("from", model["nodes"]):
                tests.append({"src": selector(model, source), "dst": [selector(model, node)], verdict: [ROOT]})
    return tests


def selector(model: Model, name: str) -> str:
    """A node becomes its own tag; tags and people stay."""
    host = model["hosts"].get(name)
    return f"tag:node-{host['label']}" if host else name


def _of_services(model: Model) -> Iterator[Need]:
    for service in model["services"]:
        protocol = "udp" if service["protocol"] == "udp" else "tcp"
        for replica in service["replicas"]:
            for port in sorted({replica["port"], replica["port"] + service["count"] - 1}):
                what = f"gateways reach the service {service['name']} on {replica['node']} ({protocol} {port})"
                yield {"src": GATEWAYS, "proto": protocol, "dst": _at(model, replica["node"], port), "what": what}


def _of_admins(model: Model) -> Iterator[Need]:
    for admin in [*model["admins"]["nodes"], *model["admins"]["people"]]:
        for node in model["nodes"]:
            if node != admin:
                what = f"{admin}, of mesh_admins, reaches SSH of {node}"
                need: Need = {
                    "src": selector(model, admin),
                    "proto": "tcp",
                    "dst": _at(model, node, SSH_PORT),
                    "what": what,
                }
                yield need
                if node in model["ssh_nodes"]:
                    yield {**need, "proto": "ssh", "what": f"{admin}, of mesh_admins, logs in to {node} as {ROOT}"}


def _open(model: Model) -> Iterator[Assertion]:
    """What else must be. People are left out: their devices come and go."""
    for node in _sample("to", model["nodes"]):
        yield ALL_NODES, "tcp", _at(model, node, model["probe_port"])
    for relay in model["relays"]:
        yield ALL_NODES, "", _at(model, relay, 1)  # by ICMP, which has no ports and which tests cannot name
    for grant in model["grants"]:
        for source in filter(_is_tag, (selector(model, each) for each in grant["from"])):
            for node in _sample("to", nodes_of(model, grant["to"])):
                for ports in grant["ports"]:
                    protocol, _, numbers = ports.partition(":")
                    port = 1 if numbers == "*" else int(numbers.partition("-")[0])
                    yield source, protocol, _at(model, node, port)


def _closed(model: Model) -> Iterator[Assertion]:
    ports = listened(model)
    for target in _sample("to", model["nodes"]):
        for source in _sample("from", model["nodes"]):
            for port in {*ports[target], UNUSED_PORT} if source != target else ():
                if not permission(model, source, target, port):
                    yield selector(model, source), "tcp", _at(model, target, port)


def _is_tag(name: str) -> bool:
    return name.startswith("tag:")


def _at(model: Model, node: str, port: int) -> str:
    return f"{selector(model, node)}:{port}"


def _sample(salt: str, nodes: Iterable[str]) -> list[str]:
    """The same few for the same names, and of a node more or less hardly any others."""
    return sorted(nodes, key=lambda node: hashlib.sha256(f"{salt} {node}".encode()).digest())[:SAMPLE]
