# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The part of Caddy's JSON that passes on streams without looking into them: tcp, udp and tls services (caddy-l4).

Verified with caddy-l4 0.1.2: a reload cuts no stream of any of the three.
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model, Replica, Service

# A dial has no time limit in caddy-l4: a replica that is silent is left out once the health check has found it so.
HEALTH_INTERVAL = "2s"
HEALTH_TIMEOUT = "2s"
FAIL_DURATION = "5s"
TRY_DURATION = "2s"  # below what the proof waits for the end of a stream
TRY_INTERVAL = "100ms"
UDP_IDLE = "2m"  # what routers give a UDP session that nobody speaks on, at least


def upstream(model: Model, replica: Replica, offset: int = 0) -> str:
    """Where a replica is dialled: plain WireGuard has no resolver that knows its nodes, but fixed addresses."""
    port = replica["port"] + offset
    if not model["wireguard"]:
        return f"{replica['dns']}:{port}"
    address = model["wireguard"]["nodes"][replica["node"]]["addresses"][0]
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def listeners(model: Model, services: Iterable[Service]) -> dict[str, t.Any]:
    """The servers of the layer 4 app, one for each public port, by protocol and port."""
    servers: dict[str, t.Any] = {}
    for service in services:
        for offset in range(service["count"]) if service["protocol"] in ("tcp", "udp") else ():
            protocol, port = service["protocol"], service["public_port"] + offset
            server: dict[str, t.Any] = {
                "listen": [f"{protocol}/:{port}"],
                "routes": [{**_allowed(service), "handle": [_proxy(model, service, offset)]}],
            }
            servers[f"{protocol}-{port}"] = {**server, **({"idle_timeout": UDP_IDLE} if protocol == "udp" else {})}
    return servers


def passthrough(model: Model, services: Iterable[Service]) -> list[dict[str, t.Any]]:
    """What the server of 443 does before TLS: names that are passed on leave it, all others go on to its own TLS."""
    routes: list[dict[str, t.Any]] = []
    for service in services:
        if service["protocol"] == "tls":
            name = {"tls": {"sni": [service["host"]]}}
            allowed = _allowed(service).get("match", [{}])[0]
            routes.append({"match": [{**allowed, **name}], "handle": [_proxy(model, service)]})
            if allowed:
                # Else it would go on to the server's own TLS.
                routes.append({"match": [name], "handle": [{"handler": "close"}]})
    return [{"wrapper": "layer4", "routes": routes}, {"wrapper": "tls"}] if routes else []


def _allowed(service: Service) -> dict[str, t.Any]:
    """The condition of a route that not everybody may take; a stream without a route ends."""
    networks = service["access"]["allow"]
    return {"match": [{"remote_ip": {"ranges": networks}}]} if networks else {}


def _proxy(model: Model, service: Service, offset: int = 0) -> dict[str, t.Any]:
    network = "udp" if service["protocol"] == "udp" else "tcp"
    proxy: dict[str, t.Any] = {
        "handler": "proxy",
        "upstreams": [{"dial": [f"{network}/{upstream(model, replica, offset)}"]} for replica in service["replicas"]],
        **({"proxy_protocol": "v2"} if service["proxy_protocol"] else {}),
    }
    if len(service["replicas"]) == 1:
        # Nowhere else to go: a failed dial ends the stream at once, and nobody knocks at the program in between.
        # (Some databases shut out who connects and says nothing.)
        return proxy
    return {
        **proxy,
        "load_balancing": {
            "selection": {"policy": "first"},
            "try_duration": TRY_DURATION,
            "try_interval": TRY_INTERVAL,
        },
        "health_checks": {
            "active": {"interval": HEALTH_INTERVAL, "timeout": HEALTH_TIMEOUT},
            "passive": {"fail_duration": FAIL_DURATION, "max_fails": 1},
        },
    }
