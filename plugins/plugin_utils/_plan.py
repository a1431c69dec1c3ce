# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""What each host tries for the proof. The verdict looks the measurements up by the same ports and URLs."""

from __future__ import annotations

import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._types import CONTROLLER, SSH_PORT, STUN_PORT

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model

RELAY_AFTER = 10  # seconds of traffic without a direct path before a path counts as relayed
CONTROL_PORTS = (8080, 9090)  # Headscale's own listener and its metrics, both on loopback
CONTROL_PATHS = ("/api/v1/node", "/metrics", "/swagger")  # what the front of the control plane has no route to
HEALTH_PATH = "/health"  # what it has: a refusal counts only beside it


def plan(model: Model, name: str) -> dict[str, t.Any]:
    """The arguments of mesh_probe for the host of that name."""
    member = name in model["nodes"]
    stranger = name in strangers(model)
    others = [node for node in sorted(model["nodes"]) if node != name] if member else []
    ports = listened(model)
    return {
        "port": model["probe_port"],
        "member": member,
        "tailscale": "/usr/local/bin/tailscale",
        "socket": "/run/tailscale/tailscaled.sock",
        "socks": f"127.0.0.1:{model['hosts'][name]['proxy_port']}"
        if member and not model["hosts"][name]["tun"]
        else "",
        "peers": [{"name": node, "dns": model["hosts"][node]["dns"]} for node in others],
        "connections": [{"to": node, "port": port} for node in others for port in ports[node]],
        "answers": ports[name] if member else [],
        "urls": _urls(model) if stranger else [],
        "ports": _ports(model) if stranger else [],
        "relay_after": RELAY_AFTER,
    }


def strangers(model: Model) -> list[str]:
    """Who looks from the internet: the inventory's strangers, or else the controller."""
    return sorted(model["strangers"]) or [CONTROLLER]


def listened(model: Model) -> dict[str, list[int]]:
    """Per node the TCP ports that somebody may ask for: SSH, its services, and what a grant names for it."""
    ports = {node: {SSH_PORT} for node in model["nodes"]}
    for service in model["services"]:
        for replica in service["replicas"]:
            ports[replica["node"]].add(replica["port"])
    for grant in model["grants"]:
        for node in nodes_of(model, grant["to"]):
            ports[node].update(tcp_ports(grant["ports"]))
    return {node: sorted(each) for node, each in ports.items()}


def nodes_of(model: Model, selectors: list[str]) -> list[str]:
    """The nodes that are named, by themselves or by a tag; people are no nodes."""
    return [node for node in sorted(model["nodes"]) if names(model, selectors, node)]


def names(model: Model, selectors: list[str], node: str) -> bool:
    """Whether a list of nodes, tags and people names the node, by itself or by a tag of its."""
    return any(selector == node or selector in model["hosts"][node]["tags"] for selector in selectors)


def tcp_ports(ports: list[str]) -> list[int]:
    """The single TCP ports among ["tcp:22", "udp:53", "tcp:1-9", "tcp:*"]; a range is too wide to be probed."""
    split = [port.partition(":") for port in ports]
    return [int(number) for protocol, _, number in split if protocol == "tcp" and number.isdecimal()]


def service_url(host: str, path: str) -> str:
    return f"https://{host}{path}"


def _urls(model: Model) -> list[dict[str, str]]:
    services = [
        {"name": service["name"], "url": service_url(service["host"], service["path"])} for service in model["services"]
    ]
    control = [
        {"name": f"{model['coordinator']}{path}", "url": f"{model['server_url']}{path}"}
        for path in (HEALTH_PATH, *CONTROL_PATHS)
    ]
    return services + control


def _ports(model: Model) -> list[dict[str, t.Any]]:
    coordinator = model["coordinator"]
    public = [(name, 443, "tcp") for name in sorted({coordinator, *model["gateways"]})]
    control = [(coordinator, STUN_PORT, "stun"), *((coordinator, port, "tcp") for port in CONTROL_PORTS)]
    return [
        {"name": name, "address": model["hosts"][name]["public_address"], "port": port, "protocol": protocol}
        for name, port, protocol in public + control
    ]
