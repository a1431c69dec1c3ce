# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Caddy's JSON for one host: the front of the control plane, services, or both.

Verified with Caddy 2.11 by ``caddy validate`` and by traffic. Caddy answers an unmatched request with an empty 200,
hence the route to 404 at each end.
"""

from __future__ import annotations

import typing as t

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
HEALTH_INTERVAL = "2s"
HEALTH_TIMEOUT = "2s"
FAIL_DURATION = "5s"  # longer than one request tries; after it the health check knows

# A client asks for this path in plain HTTP to tell a captive portal from the internet, and wants its challenge back.
CAPTIVE_PATH = "/generate_204"
CHALLENGE = "X-Tailscale-Challenge"

NOT_FOUND: dict[str, t.Any] = {"handle": [{"handler": "static_response", "status_code": 404}]}


def configuration(
    model: Model, host: str, certificates: list[dict[str, str]], acme: dict[str, str], resolver: str
) -> dict[str, t.Any]:
    """The whole configuration.

    certificates: [{"certificate", "key"}] on the host; acme: {"email", "ca"}, both may be "".
    """
    groups = model["hosts"][host]["groups"]
    front = model["hosts"][host]["public_address"] if "coordinator" in groups else None
    services = sorted(model["services"], key=_longest_path_first) if "gateways" in groups else []
    names = sorted({*([front] if front else []), *(service["host"] for service in services)})
    return {
        "admin": {"listen": ADMIN, "config": {"persist": False}},
        "apps": {
            "http": {
                "servers": {
                    "https": {
                        "listen": [":443"],
                        "routes": [
                            *(_front(front) if front else []),
                            *(_service(service, resolver) for service in services),
                            NOT_FOUND,
                        ],
                        "tls_connection_policies": [{}],
                        "automatic_https": {"disable_redirects": True},
                    },
                    "http": {
                        "listen": [":80"],
                        "routes": [*(_captive(front) if front else []), *_redirects(names), NOT_FOUND],
                        "automatic_https": {"disable": True},
                    },
                }
            },
            "tls": _tls(certificates, acme),
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


def _service(service: Service, resolver: str) -> dict[str, t.Any]:
    match: dict[str, t.Any] = {"host": [service["host"]]}
    if service["path"] != "/":
        match["path"] = [service["path"], f"{service['path']}/*"]
    address = resolver if ":" in resolver else f"{resolver}:53"
    transport: dict[str, t.Any] = {
        "protocol": "http",
        "resolver": {"addresses": [f"udp/{address}"]},
        "dial_timeout": DIAL_TIMEOUT,
    }
    if len(service["replicas"]) > 1:
        # On a kept connection a request to a home that lost its power hangs for minutes (measured: only a new dial
        # times out, and only a failed dial is tried elsewhere). A single replica has no elsewhere, and keeps its pool.
        transport["keep_alive"] = {"enabled": False}
    proxy = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"{replica['dns']}:{replica['port']}"} for replica in service["replicas"]],
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
