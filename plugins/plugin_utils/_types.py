# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The shape of the model: what ``mesh_model`` makes of the inventory and every filter takes."""

from __future__ import annotations

import typing as t

Nat = t.Literal["public", "easy", "hard", "full-cone", "cgnat", "udp-blocked", "auto"]
NATS: tuple[str, ...] = t.get_args(Nat)
BACKENDS = ("headscale", "wireguard")
GROUPS = ("coordinator", "gateways", "relays", "nodes", "strangers")
PROBE_PORT = 7733
SSH_PORT = 22
STUN_PORT = 3478
PROXY_PORT = 1055
INTERFACE = "wm0"
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
    interface: str  # of plain WireGuard; empty with another backend
    tags: list[str]


class Relay(t.TypedDict):
    """How nodes reach the DERP server of one relay.

    certificate: self-made and pinned, given, or acme. ipv4, ipv6: "" leaves it to the hostname, "none" is none.
    """

    region: int
    hostname: str
    port: int
    ipv4: str
    ipv6: str
    certificate: str


class Replica(t.TypedDict):
    """One node that serves a service, at its port or from it on."""

    node: str
    dns: str
    port: int


class ForwardAuth(t.TypedDict):
    """The service that is asked about each request: its URL, and the headers of its answer that the program gets."""

    url: str
    headers: list[str]


class Access(t.TypedDict):
    """Who may come to a service, and how much it takes. Everybody, if all but the last three are empty.

    allow: networks. basic_auth: users of caddy_users. client_certificates: the file of an authority, on the controller.
    max_body: bytes; timeout: seconds until an answer begins. Of both, 0 is no limit. h2c: whether the program speaks
    HTTP/2 without TLS, and nothing else.
    """

    allow: list[str]
    basic_auth: list[str]
    forward_auth: ForwardAuth | None
    client_certificates: str
    max_body: int
    timeout: int
    h2c: bool


class Service(t.TypedDict):
    """What gateways serve: http as https://HOST/PATH, tls as HOST, tcp and udp at public_port; count ports in a row.

    The order of replicas is the preference. What a protocol does not have is empty, and public_port 443.
    """

    name: str
    host: str
    path: str
    protocol: str
    health: str  # the path to ask for, or for udp the text that is answered; none if it cannot be asked
    public_port: int
    count: int
    proxy_protocol: bool
    certificate: str  # of http: auto, or internal for the gateway's own authority
    access: Access
    replicas: list[Replica]


class Admins(t.TypedDict):
    """Who reaches SSH of every node."""

    nodes: list[str]
    people: list[str]


# "from" is a keyword of Python, hence the functional form.
Grant = t.TypedDict("Grant", {"from": list[str], "to": list[str], "ports": list[str]})


class Model(t.TypedDict):
    """The whole mesh as the inventory wants it.

    Without Headscale, coordinator and server_url are empty; without WireGuard, wireguard is (see _wireguard_plain.py).
    """

    domain: str
    backend: str
    probe_port: int
    coordinator: str
    server_url: str
    nodes: list[str]
    gateways: list[str]
    relays: list[str]
    derp: dict[str, Relay]  # by the name of the relay
    peer_relays: list[str]  # nodes that carry the traffic of others, besides the relays
    ssh_nodes: list[str]  # nodes whose tailscaled answers SSH in the place of sshd
    strangers: list[str]
    hosts: dict[str, Host]
    services: list[Service]
    admins: Admins
    groups: dict[str, list[str]]  # people, by group:NAME
    grants: list[Grant]
    wireguard: dict[str, t.Any]
