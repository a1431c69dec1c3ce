# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The part of Caddy's JSON that serves HTTP services: their routes, and the page for those that nobody serves now."""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._caddy_access import ambiguous, cleaned, guards
from ansible_collections.wonder.mesh.plugins.plugin_utils._caddy_dispatch import dispatched
from ansible_collections.wonder.mesh.plugins.plugin_utils._caddy_streams import (
    HEALTH_INTERVAL,
    HEALTH_TIMEOUT,
    upstream,
)

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model, Service

    Route = dict[str, t.Any]

STREAM_CLOSE_DELAY = "24h"

# A dead replica is noticed by its refused or timed-out dial at once (dial_timeout, and again in the same request while
# try_duration lasts), and by the health check after at most interval + timeout: both stay below five seconds.
DIAL_TIMEOUT = "2s"
TRY_DURATION = "4s"
TRY_INTERVAL = "100ms"
FAIL_DURATION = "5s"  # longer than one request tries; after it the health check knows

# More services of one node each than this are not asked how they are: the questions would be most of the traffic. To a
# home that lost its power they keep connections no longer than the questions would have taken to find out.
WATCHED = 1000
KEPT = "4s"

# What the gateway says while no replica of a service answers; a browser asks again by itself.
OFFLINE_STATUSES = ["502", "503", "504"]
RETRY_AFTER = "5"
OFFLINE_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>This home is offline</title>
<p>This home is offline. The page comes back by itself when it is online again.</p>
</html>
"""


def routes(model: Model, host: str, services: Sequence[Service], resolver: str) -> list[Route]:
    """The routes of all services on this gateway, found by their hosts and, below one, by the longest path."""
    transport: dict[str, t.Any] = {"protocol": "http", "dial_timeout": DIAL_TIMEOUT}
    if not model["hosts"][host]["tun"]:
        # The way into the mesh of a host without TUN, by its tailscaled, which also knows the names of nodes.
        proxy = f"socks5://127.0.0.1:{model['hosts'][host]['proxy_port']}"
        transport["protocol"] = "proxied"  # of programs/caddy
        transport["network_proxy"] = {"from": "url", "url": proxy}
    elif not model["wireguard"]:
        transport["resolver"] = {"addresses": [f"udp/{resolver if ':' in resolver else f'{resolver}:53'}"]}
    watched = len(services) <= WATCHED
    found: dict[str, list[Route]] = {}
    for name, group in itertools.groupby(sorted(services, key=_longest_path_first), key=lambda each: each["host"]):
        of_host = list(group)
        found[name] = [
            *ambiguous(of_host), *(_service(model, service, transport, watched) for service in of_host),
        ]  # fmt: skip
    return [*cleaned(services), *dispatched(found, shared=not watched)] if found else []


def offline(services: Sequence[Service]) -> dict[str, t.Any]:
    """The page for a service without a replica that answers. The front of the control plane keeps its own errors."""
    if not services:
        return {}
    page = {
        "handler": "static_response",
        "status_code": 503,
        "headers": {
            "Retry-After": [RETRY_AFTER],
            "Refresh": [RETRY_AFTER],
            "Cache-Control": ["no-store"],
            "Content-Type": ["text/html; charset=utf-8"],
        },
        "body": OFFLINE_PAGE,
    }
    hosts = sorted({service["host"] for service in services})
    match = {"host": hosts, "vars": {"{http.error.status_code}": OFFLINE_STATUSES}}
    return {"errors": {"routes": [{"match": [match], "handle": [page], "terminal": True}]}}


def _longest_path_first(service: Service) -> tuple[str, int, str]:
    return service["host"], -len(service["path"]), service["path"]


def _service(model: Model, service: Service, transport: dict[str, t.Any], watched: bool) -> Route:
    match: dict[str, t.Any] = {"host": [service["host"]]}
    if service["path"] != "/":
        match["path"] = [service["path"], f"{service['path']}/*"]
    own = dict(transport)
    if timeout := service["access"]["timeout"]:
        own["response_header_timeout"] = f"{timeout}s"
    if service["access"]["h2c"]:
        own["versions"] = ["h2c", "2"]
    active = {
        "uri": service["health"],
        "interval": HEALTH_INTERVAL,
        "timeout": HEALTH_TIMEOUT,
        "headers": {"Host": [service["host"]]},
    }
    health: dict[str, t.Any] = {"active": active} if service["health"] else {}
    if len(service["replicas"]) > 1:
        # On a kept connection a request to a home that lost its power hangs for minutes (measured: only a new dial
        # times out, and only a failed dial is tried elsewhere). A single replica has no elsewhere: it keeps its pool,
        # and one answer that does not come in time must not end it for everybody.
        own["keep_alive"] = {"enabled": False}
        health["passive"] = {"fail_duration": FAIL_DURATION, "max_fails": 1}
    elif not (watched and health):
        own["keep_alive"] = {"idle_timeout": KEPT}
        health = {}
    proxy = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": upstream(model, replica)} for replica in service["replicas"]],
        "transport": own,
        "load_balancing": {
            "selection_policy": {"policy": "first"},
            "try_duration": TRY_DURATION,
            "try_interval": TRY_INTERVAL,
        },
        **({"health_checks": health} if health else {}),
        "stream_close_delay": STREAM_CLOSE_DELAY,
    }
    return {"match": [match], "handle": [*guards(model, service, transport), proxy], "terminal": True}
