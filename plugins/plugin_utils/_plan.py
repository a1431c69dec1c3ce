# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""What each host tries for the proof. The verdict looks the measurements up by the same ports and URLs."""

from __future__ import annotations

import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._types import CONTROLLER, SSH_PORT, STUN_PORT

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model, Service

WEB_PORT = 443
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
        "interface": model["hosts"][name]["interface"] if member else "",
        "peers": [
            {"name": node, "dns": model["hosts"][node]["dns"], "address": _address(model, node)} for node in others
        ],
        "connections": [{"to": node, "port": port} for node in others for port in ports[node]],
        "answers": ports[name] if member else [],
        "urls": _urls(model) if stranger else [],
        "ports": _ports(model) if stranger else [],
        "streams": [
            {
                "name": service["name"],
                "url": place.url,
                "address": place.address,
                "send": service["health"] if service["protocol"] == "udp" else "",
            }
            for service in (model["services"] if stranger else [])
            for place in (places(model, service) if service["protocol"] != "http" else ())
            if service["protocol"] != "udp" or service["health"]
        ],
        "stun": _stun(model) if member and model["hosts"][name]["nat"] == "auto" else [],
        "relay_after": RELAY_AFTER,
    }


def _stun(model: Model) -> list[dict[str, t.Any]]:
    """Who says how a NAT maps: all STUN servers of ours, if there are two to compare."""
    servers = [
        {"address": each["address"], "port": each["port"]} for each in public_ports(model) if each["protocol"] == "stun"
    ]
    return servers if len(servers) > 1 else []


def _address(model: Model, node: str) -> str:
    """Its first address in the mesh, where the inventory and the registry decide about it; "" where a daemon does."""
    return str(model["wireguard"]["nodes"][node]["addresses"][0]) if model["wireguard"] else ""


def strangers(model: Model) -> list[str]:
    """Who looks from the internet: the inventory's strangers, or else the controller."""
    return sorted(model["strangers"]) or [CONTROLLER]


def listened(model: Model) -> dict[str, list[int]]:
    """Per node the TCP ports that somebody may ask for: SSH, its services, and what a grant names for it.

    Of a range that a service or a grant has, it is the first: the others share its rule. A node without TUN hands what
    comes for it to its loopback, where its own proxy is always there to be tried.
    """
    ports = {node: {SSH_PORT} for node in model["nodes"]}
    for node in model["nodes"]:
        if not model["hosts"][node]["tun"]:
            ports[node].add(model["hosts"][node]["proxy_port"])
    for service in model["services"]:
        for replica in service["replicas"] if service["protocol"] != "udp" else ():
            ports[replica["node"]].add(replica["port"])
    for grant in model["grants"]:
        for node in nodes_of(model, grant["to"]):
            ports[node].update(tcp_ports(grant["ports"]))
    return {node: sorted(each - {model["probe_port"]}) for node, each in ports.items()}  # that one is open to all


def fronts(model: Model) -> list[str]:
    """The hosts that the internet finds at TCP 443, sorted."""
    return sorted({model["coordinator"], *model["gateways"]} - {""})


def public_ports(model: Model) -> list[dict[str, t.Any]]:
    """What the internet must find open: {"name", "address", "port", "protocol": "tcp"|"stun"}.

    Without relays, the coordinator is the relay.
    """
    relays: dict[str, str | None] = {name: relay["hostname"] for name, relay in model["derp"].items()}
    web = {name: model["hosts"][name]["public_address"] for name in fronts(model)}
    stun = relays or {name: address for name, address in web.items() if name == model["coordinator"]}
    found = [(name, address, WEB_PORT, "tcp") for name, address in web.items()]
    found += [(name, address, model["derp"][name]["port"], "tcp") for name, address in relays.items()]
    found += [(name, address, STUN_PORT, "stun") for name, address in stun.items()]
    return [
        {"name": name, "address": address, "port": port, "protocol": protocol}
        for name, address, port, protocol in found
    ]


def nodes_of(model: Model, selectors: list[str]) -> list[str]:
    """The nodes that are named, by themselves or by a tag; people are no nodes."""
    return [node for node in sorted(model["nodes"]) if names(model, selectors, node)]


def names(model: Model, selectors: list[str], node: str) -> bool:
    """Whether a list of nodes, tags and people names the node, by itself or by a tag of its."""
    return any(selector == node or selector in model["hosts"][node]["tags"] for selector in selectors)


def tcp_ports(ports: list[str]) -> list[int]:
    """The TCP ports among ["tcp:22", "udp:53", "tcp:1-9", "tcp:*"], of a range the first; of all there is no first."""
    firsts = [(protocol, numbers.partition("-")[0]) for protocol, _, numbers in (port.partition(":") for port in ports)]
    return [int(first) for protocol, first in firsts if protocol == "tcp" and first.isdecimal()]


def service_url(host: str, path: str) -> str:
    return f"https://{host}{path}"


class Place(t.NamedTuple):
    """Where a service is tried: its URL, the address to call for it if not what the URL names, and the gateway.

    gateway: "" if there is one only, whose place is where the name leads.
    """

    url: str
    address: str
    gateway: str


def places(model: Model, service: Service) -> list[Place]:
    """Each gateway serves all services; of a range of ports, it is the first that is tried."""
    found = []
    for gateway in model["gateways"]:
        public = str(model["hosts"][gateway]["public_address"])
        address, name = (public, gateway) if len(model["gateways"]) > 1 else ("", "")
        if service["protocol"] in ("tcp", "udp"):
            host = f"[{public}]" if ":" in public else public
            found.append(Place(f"{service['protocol']}://{host}:{service['public_port']}", "", name))
        elif service["protocol"] == "tls":
            found.append(Place(f"tls://{service['host']}:{service['public_port']}", address, name))
        else:
            found.append(Place(service_url(service["host"], service["path"]), address, name))
    return found


def _urls(model: Model) -> list[dict[str, t.Any]]:
    services: list[dict[str, t.Any]] = [
        {
            "name": service["name"],
            "url": place.url,
            "address": place.address,
            **({"private": True} if service["certificate"] == "internal" else {}),
        }
        for service in model["services"]
        if service["protocol"] == "http"
        for place in places(model, service)
    ]
    if not model["coordinator"]:
        return services
    control = [
        {"name": f"{model['coordinator']}{path}", "url": f"{model['server_url']}{path}"}
        for path in (HEALTH_PATH, *CONTROL_PATHS)
    ]
    return services + control


def _ports(model: Model) -> list[dict[str, t.Any]]:
    name = model["coordinator"]
    address = model["hosts"][name]["public_address"] if name else ""
    control = [{"name": name, "address": address, "port": port, "protocol": "tcp"} for port in CONTROL_PORTS if name]
    return public_ports(model) + control
