# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Caddy's JSON for one host: the front of the control plane, services, or both.

Verified with Caddy 2.11 by ``caddy validate`` and by traffic. Caddy answers an unmatched request with an empty 200,
hence the route to 404 at each end.
"""

from __future__ import annotations

import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._caddy_access import client_policies
from ansible_collections.wonder.mesh.plugins.plugin_utils._caddy_challenges import handed_on
from ansible_collections.wonder.mesh.plugins.plugin_utils._caddy_services import STREAM_CLOSE_DELAY, offline, routes
from ansible_collections.wonder.mesh.plugins.plugin_utils._caddy_streams import listeners, passthrough
from ansible_collections.wonder.mesh.plugins.plugin_utils._caddy_tls import tls_apps

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._caddy_tls import Acme
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model

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

# A client asks for this path in plain HTTP to tell a captive portal from the internet, and wants its challenge back.
CAPTIVE_PATH = "/generate_204"
CHALLENGE = "X-Tailscale-Challenge"

# What a client may ask for, and how long it may take: a slow header holds a connection, and so does a silent client.
# How large a body may be is up to the service; it may take as long as it flows.
LIMITS = {"read_header_timeout": "10s", "idle_timeout": "2m", "max_header_bytes": 32768}
HANDOVER = {"wrapper": "handover"}
NOT_FOUND: dict[str, t.Any] = {"handle": [{"handler": "static_response", "status_code": 404}]}


def configuration(
    model: Model, host: str, certificates: list[dict[str, str]], acme: Acme, resolver: str, handover: bool = True
) -> dict[str, t.Any]:
    """The whole configuration.

    certificates: [{"certificate", "key"}] on the host. handover: whether its Caddy has the module of programs/caddy.
    """
    groups = model["hosts"][host]["groups"]
    front = model["hosts"][host]["public_address"] if "coordinator" in groups else None
    published = model["services"] if "gateways" in groups else []
    services = [each for each in published if each["protocol"] == "http"]
    names = sorted({*([front] if front else []), *(service["host"] for service in services)})
    streams = listeners(model, published)
    others = _other_gateways(model, host) if services and not acme.dns else []
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
                            *routes(model, host, services, resolver),
                            NOT_FOUND,
                        ],
                        **offline(services),
                        **_wrappers(passthrough(model, published), handover),
                        **client_policies(services),
                        "automatic_https": {"disable_redirects": True},
                    },
                    "http": {
                        "listen": [":80"],
                        **LIMITS,
                        **_wrappers([], handover),
                        "routes": [
                            *handed_on(others, names),
                            *(_captive(front) if front else []),
                            *_redirects(names),
                            NOT_FOUND,
                        ],
                        "automatic_https": {"disable": True},
                    },
                }
            },
            **tls_apps(certificates, acme, services, shared=bool(others)),
            **({"layer4": {"servers": streams}} if streams else {}),
        },
    }


def _other_gateways(model: Model, host: str) -> list[str]:
    """The public addresses of those that serve the same names."""
    if host not in model["gateways"]:
        return []
    return [str(model["hosts"][each]["public_address"]) for each in model["gateways"] if each != host]


def _wrappers(others: list[dict[str, t.Any]], handover: bool) -> dict[str, t.Any]:
    """What a server does with connections before it serves them.

    A reload hands over those that have just come, last and before what looks into them (programs/caddy/handover.go).
    """
    first = [{**HANDOVER, "early": True}] if others else []
    found = [*first, *others, HANDOVER] if handover else others
    return {"listener_wrappers": found} if found else {}


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
