# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The WireGuard mesh as plain data, as facts and filters have it, and back again with a check of its shape."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

from ansible_collections.wonder.mesh.plugins.plugin_utils._shape import ShapeError
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import port_number, shown
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_registry import is_key
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_types import TOPOLOGIES, Mesh, Node

if t.TYPE_CHECKING:
    from collections.abc import Callable

PARTS = ("topology", "pools", "hubs", "preshared", "clients", "nodes")


def as_plain(mesh: Mesh) -> dict[str, t.Any]:
    """As JSON has it: {"topology", "pools", "hubs", "preshared", "clients", "nodes": {NAME: {FIELD of Node}}}."""
    return {
        "topology": mesh.topology,
        "pools": list(mesh.pools),
        "hubs": list(mesh.hubs),
        "preshared": mesh.preshared,
        "clients": dict(mesh.clients),
        "nodes": {
            name: {
                field: _listed(value) if isinstance(value, tuple) else value
                for field, value in vars(node).items() if field != "name"
            }
            for name, node in mesh.nodes.items()
        },
    }  # fmt: skip


def of_plain(value: object, keys: object = None) -> Mesh:
    """keys: public keys by name that are newer than those in the mesh. Raises ShapeError for what is no mesh."""
    if not isinstance(value, Mapping) or value.keys() != set(PARTS):
        raise ShapeError(f"needs a mesh with {', '.join(PARTS)}, as the model has it")
    right = {
        "topology": value["topology"] in TOPOLOGIES,
        "pools": _are_texts(value["pools"]),
        "preshared": isinstance(value["preshared"], bool),
        "nodes": isinstance(value["nodes"], Mapping),
        "hubs": _are_texts(value["hubs"]) and all(hub in value["nodes"] for hub in value["hubs"]),
        "clients": isinstance(value["clients"], Mapping) and all(each in value["nodes"] for each in value["clients"]),
    }
    for field, each in right.items():
        if not each:
            raise ShapeError(f"the mesh's {field!r} is {shown(value[field])}, which it cannot be")
    nodes = {str(name): _node(str(name), value["nodes"][name]) for name in sorted(value["nodes"])}
    for name, key in _keys(keys, nodes).items():
        nodes[name] = _node(name, {**value["nodes"][name], "public_key": key})
    owners: dict[str, str] = {}
    for name, node in nodes.items():
        if node.public_key is not None and (other := owners.setdefault(node.public_key, name)) != name:
            raise ShapeError(f"{other} and {name} have the same public key, but a key is one machine's")
    texts = (str(value["topology"]), tuple(map(str, value["pools"])), tuple(map(str, value["hubs"])))
    clients = {str(name): str(owner) for name, owner in value["clients"].items()}
    return Mesh(*texts, value["preshared"], nodes, clients)


def _listed(value: tuple[t.Any, ...]) -> list[t.Any]:
    return [_listed(each) if isinstance(each, tuple) else each for each in value]


def _keys(keys: object, nodes: Mapping[str, Node]) -> Mapping[str, t.Any]:
    if keys is None:
        return {}
    if not isinstance(keys, Mapping) or not all(name in nodes for name in keys):
        raise ShapeError(f"the keys must be a mapping by names of nodes, not {shown(keys)}")
    return keys


def _node(name: str, value: object) -> Node:
    if not isinstance(value, Mapping) or value.keys() != FIELDS.keys():
        raise ShapeError(f"the mesh's node {name} has not the fields {', '.join(FIELDS)}")
    for field, right in FIELDS.items():
        if not right(value[field]):
            raise ShapeError(f"the mesh's node {name} has {shown(value[field])} as {field}, which it cannot be")
    return Node(
        name,
        tuple(map(str, value["addresses"])),
        value["public"],
        _text(value["home"]),
        tuple((str(host), int(port)) for host, port in value["endpoints"]),
        _text(value["lan"]),
        int(value["port"]),
        tuple(map(int, value["extra_ports"])),
        None if value["outbound"] is None else tuple(map(int, value["outbound"])),
        tuple(map(str, value["routes"])),
        int(value["mtu"]),
        _text(value["public_key"]),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _is_list(value: object) -> t.TypeGuard[Sequence[t.Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _are_texts(value: object) -> bool:
    return _is_list(value) and all(isinstance(each, str) for each in value)


def _are_ports(value: object) -> bool:
    return _is_list(value) and all(isinstance(each, int) and port_number(each) is not None for each in value)


def _are_endpoints(value: object) -> bool:
    return _is_list(value) and all(_is_list(each) and len(each) == 2 and _are_texts(each[:1]) for each in value) and (
        _are_ports([each[1] for each in value])
    )  # fmt: skip


FIELDS: dict[str, Callable[[t.Any], bool]] = {
    "addresses": lambda each: _are_texts(each) and len(each) > 0,
    "public": lambda each: isinstance(each, bool),
    "home": lambda each: each is None or isinstance(each, str),
    "endpoints": _are_endpoints,
    "lan": lambda each: each is None or isinstance(each, str),
    "port": lambda each: _are_ports([each]),
    "extra_ports": _are_ports,
    "outbound": lambda each: each is None or _are_ports(each),
    "routes": _are_texts,
    "mtu": lambda each: isinstance(each, int) and not isinstance(each, bool),
    "public_key": lambda each: each is None or is_key(each),
}
