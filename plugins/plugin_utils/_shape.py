# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""What every filter checks before it trusts the model that it was given."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Host, Model


class ShapeError(ValueError):
    """What a filter got is no model, or does not know the host; the message names what is wrong."""


FIELDS: dict[str, type] = {
    "domain": str,
    "backend": str,
    "probe_port": int,
    "coordinator": str,
    "server_url": str,
    "nodes": Sequence,
    "gateways": Sequence,
    "relays": Sequence,
    "derp": Mapping,
    "peer_relays": Sequence,
    "ssh_nodes": Sequence,
    "strangers": Sequence,
    "hosts": Mapping,
    "services": Sequence,
    "admins": Mapping,
    "groups": Mapping,
    "grants": Sequence,
    "wireguard": Mapping,
}
HOST_FIELDS = (
    "name",
    "label",
    "dns",
    "groups",
    "public_address",
    "home",
    "nat",
    "tun",
    "proxy_port",
    "interface",
    "tags",
)
SERVICE_FIELDS = (
    "name",
    "host",
    "path",
    "protocol",
    "health",
    "public_port",
    "count",
    "proxy_protocol",
    "certificate",
    "access",
    "replicas",
)


def check_model(value: object) -> Model:
    """Return the value as a model, or raise ShapeError with the first thing that makes it none."""
    if not isinstance(value, Mapping):
        raise ShapeError(f"needs the model that wonder.mesh.mesh_model returns, not {_kind(value)}")
    for field, kind in FIELDS.items():
        if field not in value:
            raise ShapeError(f"the model has no {field!r}; take it from wonder.mesh.mesh_model")
        found = value[field]
        if not isinstance(found, kind) or (kind is Sequence and isinstance(found, str)):
            raise ShapeError(f"the model's {field!r} is {_kind(found)}, not {kind.__name__.lower()}")
    for name, host in value["hosts"].items():
        _check_fields(f"host {name}", host, HOST_FIELDS)
    for service in value["services"]:
        _check_fields("service", service, SERVICE_FIELDS)
    coordinator = [value["coordinator"]] if value["coordinator"] else []
    for name in [*coordinator, *value["nodes"], *value["gateways"], *value["relays"], *value["strangers"]]:
        if name not in value["hosts"]:
            raise ShapeError(f"the model's 'hosts' have no {name!r}")
    for service in value["services"]:
        for replica in service["replicas"]:
            _check_fields(f"replica of {service['name']}", replica, ("node", "dns", "port"))
            if replica["node"] not in value["hosts"]:
                raise ShapeError(f"service {service['name']} is on {replica['node']!r}, which the model does not know")
    return t.cast("Model", value)


def check_wireguard(value: object) -> Model:
    """Return the value as the model of a mesh on WireGuard, or raise ShapeError."""
    model = check_model(value)
    if model["backend"] != "wireguard":
        raise ShapeError(f"needs a mesh on wireguard, and this one is on {model['backend']}")
    return model


def host_of(model: Model, name: object) -> Host:
    """The host of that name, or ShapeError with the names there are."""
    if not isinstance(name, str) or name not in model["hosts"]:
        raise ShapeError(f"{name!r} is no host of the model; there are {', '.join(sorted(model['hosts']))}")
    return model["hosts"][name]


def _check_fields(what: str, value: object, fields: Sequence[str]) -> None:
    if not isinstance(value, Mapping):
        raise ShapeError(f"the model's {what} is {_kind(value)}, not a mapping")
    missing = [field for field in fields if field not in value]
    if missing:
        raise ShapeError(f"the model's {what} has no {', '.join(missing)}")


def _kind(value: object) -> str:
    return "nothing" if value is None else f"of type {type(value).__name__.removeprefix('_AnsibleTagged').lower()}"
