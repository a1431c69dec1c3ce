# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Caddy's JSON for one host: the front of the control plane, services, or both.

Verified with Caddy 2.11 by ``caddy validate`` and by traffic. Caddy answers an unmatched request with an empty 200,
hence the route to 404 at each end.
"""

from __future__ import annotations

import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._caddy_streams import (
    HEALTH_INTERVAL,
    HEALTH_TIMEOUT,
    listeners,
    passthrough,
    upstream,
)

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model, Service

RESOLVER = "100.100.100.100"  # MagicDNS, answered by the host's own tailscaled
HEADSCALE = "127.0.0.1:8080"
ADMIN = "unix//run/caddy/admin.sock"

# What Tailscale's clients and people who register nodes need of Headscale; /verify is for relays and not for strangers.
FRONT_PATHS = [
    "/ts2021",
    "/key",
    "/register/*",
    "/auth/*",
    "/oidc/callback",
    "/health",
    "/version",
    "/derp",
    "/derp/*",
    "/bootstrap-dns",
    "/machine/ping-response",
    "/apple",
    "/apple/*",
    "/windows",
]
# Caddy cleans a path before it matches, and forwards it as it came: without this, /api/../health would pass.
UNCLEAN_PATH = r"//|/\.\.?(/|$)|\\"
STREAM_CLOSE_DELAY = "24h"

# A dead replica is noticed by its refused or timed-out dial at once (dial_timeout, and again in the same request while
# try_duration lasts), and by the health check after at most interval + timeout: both stay below five seconds.
DIAL_TIMEOUT = "2s"
TRY_DURATION = "4s"
TRY_INTERVAL = "100ms"
FAIL_DURATION = "5s"  # longer than one request tries; after it the health check knows

# A client asks for this path in plain HTTP to tell a captive portal from the internet, and wants its challenge back.
CAPTIVE_PATH = "/generate_204"
CHALLENGE = "X-Tailscale-Challenge"

# What a client may ask for, and how long it may take: a slow header holds a connection, and so does a silent client.
# A body may be as large as the service likes, and take as long as it flows.
LIMITS = {"read_header_timeout": "10s", "idle_timeout": "2m", "max_header_bytes": 32768}
# The address of the client is what Caddy saw. X-Forwarded-For it sets itself, and these it would pass on as they came.
FROM_CLIENT = [
    "CF-Connecting-IP",
    "Fastly-Client-IP",
    "Forwarded",
    "True-Client-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
]
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

NOT_FOUND: dict[str, t.Any] = {"handle": [{"handler": "static_response", "status_code": 404}]}


def configuration(
    model: Model, host: str, certificates: list[dict[str, str]], acme: dict[str, str], resolver: str
) -> dict[str, t.Any]:
    """The whole configuration.

    certificates: [{"certificate", "key"}] on the host; acme: {"email", "ca"}, both may be "".
    """
    groups = model["hosts"][host]["groups"]
    front = model["hosts"][host]["public_address"] if "coordinator" in groups else None
    published = model["services"] if "gateways" in groups else []
    services = sorted((each for each in published if each["protocol"] == "http"), key=_longest_path_first)
    names = sorted({*([front] if front else []), *(service["host"] for service in services)})
    streams = listeners(model, published)
    return {
        "admin": {"listen": ADMIN, "config": {"persist": False}},
        "apps": {
            "http": {
                "servers": {
                    "https": {
                        "listen": [":443"],
                        **LIMITS,
                        "routes": [
                            *(_front(front) if front else []),
                            *(_service(model, service, resolver) for service in services),
                            NOT_FOUND,
                        ],
                        **_offline(services),
                        **passthrough(model, published),
                        "tls_connection_policies": [{}],
                        "automatic_https": {"disable_redirects": True},
                    },
                    "http": {
                        "listen": [":80"],
                        **LIMITS,
                        "routes": [*(_captive(front) if front else []), *_redirects(names), NOT_FOUND],
                        "automatic_https": {"disable": True},
                    },
                }
            },
            "tls": _tls(certificates, acme),
            **({"layer4": {"servers": streams}} if streams else {}),
        },
    }


def _longest_path_first(service: Service) -> tuple[str, int, str]:
    return service["host"], -len(service["path"]), service["path"]


def _front(name: str) -> list[dict[str, t.Any]]:
    """The routes before Headscale. Each ends the search, so that nothing of the front's name reaches another route."""
    proxy = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": HEADSCALE}],
        # Headscale trusts loopback, and takes the client's address from the first of these that is there.
        "headers": {
            "request": {
                "set": {
                    "True-Client-IP": ["{http.request.remote.host}"],
                    "X-Real-Ip": ["{http.request.remote.host}"],
                    "X-Forwarded-For": ["{http.request.remote.host}"],
                }
            }
        },
        "stream_close_delay": STREAM_CLOSE_DELAY,
    }
    unclean = {"vars_regexp": {"{http.request.uri.path}": {"pattern": UNCLEAN_PATH}}}
    return [
        {"match": [{"host": [name], **unclean}], **NOT_FOUND, "terminal": True},
        {"match": [{"host": [name], "path": FRONT_PATHS}], "handle": [proxy], "terminal": True},
        {"match": [{"host": [name]}], **NOT_FOUND, "terminal": True},
    ]


def _service(model: Model, service: Service, resolver: str) -> dict[str, t.Any]:
    match: dict[str, t.Any] = {"host": [service["host"]]}
    if service["path"] != "/":
        match["path"] = [service["path"], f"{service['path']}/*"]
    transport: dict[str, t.Any] = {"protocol": "http", "dial_timeout": DIAL_TIMEOUT}
    if not model["wireguard"]:
        transport["resolver"] = {"addresses": [f"udp/{resolver if ':' in resolver else f'{resolver}:53'}"]}
    if len(service["replicas"]) > 1:
        # On a kept connection a request to a home that lost its power hangs for minutes (measured: only a new dial
        # times out, and only a failed dial is tried elsewhere). A single replica has no elsewhere, and keeps its pool.
        transport["keep_alive"] = {"enabled": False}
    proxy = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": upstream(model, replica)} for replica in service["replicas"]],
        "headers": {"request": {"set": {"X-Real-Ip": ["{http.request.remote.host}"]}, "delete": FROM_CLIENT}},
        "transport": transport,
        "load_balancing": {
            "selection_policy": {"policy": "first"},
            "try_duration": TRY_DURATION,
            "try_interval": TRY_INTERVAL,
        },
        "health_checks": {
            "active": {
                "uri": service["health"],
                "interval": HEALTH_INTERVAL,
                "timeout": HEALTH_TIMEOUT,
                "headers": {"Host": [service["host"]]},
            },
            "passive": {"fail_duration": FAIL_DURATION, "max_fails": 1},
        },
        "stream_close_delay": STREAM_CLOSE_DELAY,
    }
    return {"match": [match], "handle": [proxy], "terminal": True}


def _offline(services: list[Service]) -> dict[str, t.Any]:
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


def _captive(name: str) -> list[dict[str, t.Any]]:
    match = {"host": [name], "path": [CAPTIVE_PATH]}
    answer = {"handler": "static_response", "status_code": 204}
    challenged = {**match, "header_regexp": {CHALLENGE: {"pattern": r"^[A-Za-z0-9._-]{1,63}$"}}}
    reply = {"X-Tailscale-Response": [f"response {{http.request.header.{CHALLENGE}}}"]}
    return [
        {"match": [challenged], "handle": [{**answer, "headers": reply}], "terminal": True},
        {"match": [match], "handle": [answer], "terminal": True},
    ]


def _redirects(names: list[str]) -> list[dict[str, t.Any]]:
    if not names:
        return []
    answer = {
        "handler": "static_response",
        "status_code": 308,
        "headers": {"Location": ["https://{http.request.host}{http.request.uri}"]},
    }
    return [{"match": [{"host": names}], "handle": [answer], "terminal": True}]


def _tls(certificates: list[dict[str, str]], acme: dict[str, str]) -> dict[str, t.Any]:
    tls: dict[str, t.Any] = {}
    if certificates:
        tls["certificates"] = {"load_files": certificates}
    issuer = {key: value for key, value in acme.items() if value}
    if issuer:
        tls["automation"] = {"policies": [{"issuers": [{"module": "acme", **issuer}]}]}
    return tls
