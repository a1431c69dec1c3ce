# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The shape of the model: what ``mesh_model`` makes of the inventory and every filter takes."""

from __future__ import annotations

import typing as t

Nat = t.Literal["public", "easy", "hard", "full-cone", "cgnat", "udp-blocked", "auto"]
NATS: tuple[str, ...] = t.get_args(Nat)
GROUPS = ("coordinator", "gateways", "relays", "nodes", "strangers")
PROBE_PORT = 7733
SSH_PORT = 22
STUN_PORT = 3478
PROXY_PORT = 1055
CONTROLLER = "controller"  # the name of the stranger when the inventory has none


class Host(t.TypedDict):
    """One host of the inventory that is in a group of ours."""

    name: str
    label: str
    dns: str
    groups: list[str]
    public_address: str | None
    home: str | None
    nat: str
    tun: bool
    proxy_port: int  # of the way into the mesh on a host without TUN
    tags: list[str]


class Replica(t.TypedDict):
    """One node that serves a service."""

    node: str
    dns: str
    port: int


class Service(t.TypedDict):
    """What gateways serve as https://HOST/PATH; the order of replicas is the preference."""

    name: str
    host: str
    path: str
    protocol: str
    health: str
    replicas: list[Replica]


class Admins(t.TypedDict):
    """Who reaches SSH of every node."""

    nodes: list[str]
    people: list[str]


# "from" is a keyword of Python, hence the functional form.
Grant = t.TypedDict("Grant", {"from": list[str], "to": list[str], "ports": list[str]})


class Model(t.TypedDict):
    """The whole mesh as the inventory wants it."""

    domain: str
    backend: str
    probe_port: int
    coordinator: str
    server_url: str
    nodes: list[str]
    gateways: list[str]
    relays: list[str]
    strangers: list[str]
    hosts: dict[str, Host]
    services: list[Service]
    admins: Admins
    grants: list[Grant]
