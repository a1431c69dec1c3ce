# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The part of Caddy's JSON that says who may come to an HTTP service, and how much a request may hold.

Each handler answers itself or passes on, so what is not passed on by all of them never reaches the program. Verified
with Caddy 2.11: it looks at the address of the connection, and not at what a client says of itself.
"""

from __future__ import annotations

import typing as t
import urllib.parse

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import ForwardAuth, Model, Service

    Route = dict[str, t.Any]

FILES = "/etc/caddy/certificates"  # where the role puts what only Caddy reads
IDENTITY = "Remote-User"
AUTH_DIAL_TIMEOUT = "2s"
AUTH_TIMEOUT = "10s"
# Programs disagree about these: what is one service's path for Caddy is another's for the program behind it.
AMBIGUOUS_PATH = r"//|/\.\.?(/|$)|\\|;"


# An address that a client claims. X-Forwarded-For Caddy sets itself, and these it would pass on as they came.
FROM_CLIENT = [
    "CF-Connecting-IP",
    "Fastly-Client-IP",
    "Forwarded",
    "True-Client-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
]


def guards(
    model: Model, service: Service, transport: Mapping[str, t.Any], files: str = FILES
) -> list[dict[str, t.Any]]:
    """The handlers before a service. transport: how Caddy reaches nodes."""
    access = service["access"]
    found: list[dict[str, t.Any]] = []
    if access["allow"]:
        outside = {"match": [{"not": [{"remote_ip": {"ranges": access["allow"]}}]}]}
        refusal = {"handler": "static_response", "status_code": 403}
        found.append({"handler": "subroute", "routes": [{**outside, "handle": [refusal]}]})
    if access["max_body"]:
        found.append({"handler": "request_body", "max_size": access["max_body"]})
    if access["basic_auth"]:
        accounts = [
            {"username": name, "password": f"{{file.{user_file(name, files)}}}"} for name in access["basic_auth"]
        ]
        # With the cache a bcrypt hash is computed once, and not for each image of a page.
        basic = {"accounts": accounts, "hash": {"algorithm": "bcrypt"}, "hash_cache": {}, "realm": service["name"]}
        found.append({"handler": "authentication", "providers": {"http_basic": basic}})
        # The program learns who it is, and not the password.
        who = {"set": {IDENTITY: ["{http.auth.user.id}"]}, "delete": ["Authorization"]}
        found.append({"handler": "headers", "request": who})
    if access["forward_auth"]:
        found.append(_forward(model, access["forward_auth"], transport))
    return found


def cleaned(services: Sequence[Service]) -> list[Route]:
    """The routes before all services: where a client comes from and who it is, it does not say itself."""
    told = {IDENTITY}
    for service in services:
        if forward := service["access"]["forward_auth"]:
            told.update(forward["headers"])
    refused = sorted({*FROM_CLIENT, *told})
    return [
        # Almost nobody says one of these, and to look for them costs less than to delete them.
        {
            "match": [{"header": {name: []}} for name in refused],
            "handle": [{"handler": "headers", "request": {"delete": refused}}],
        },
        {"handle": [{"handler": "headers", "request": {"set": {"X-Real-Ip": ["{http.request.remote.host}"]}}}]},
    ]


def ambiguous(services: Sequence[Service]) -> list[dict[str, t.Any]]:
    """The route of a name whose paths are not open to the same people; it refuses what could be another's path."""
    if len({str(sorted(service["access"].items(), key=str)) for service in services}) < 2:
        return []
    match = {
        "host": [services[0]["host"]],
        "vars_regexp": {"{http.request.uri.path}": {"pattern": AMBIGUOUS_PATH}},
    }
    return [{"match": [match], "handle": [{"handler": "static_response", "status_code": 400}], "terminal": True}]


def client_policies(services: Sequence[Service], files: str = FILES) -> dict[str, t.Any]:
    """What the server asks of a client before HTTP. A client must not ask for one name and then talk of another."""
    asked = sorted({service["host"] for service in services if service["access"]["client_certificates"]})
    if not asked:
        return {"tls_connection_policies": [{}]}
    policies = [
        {
            "match": {"sni": [host]},
            "client_authentication": {
                "ca": {"provider": "file", "pem_files": [authority_file(host, files)]},
                "mode": "require_and_verify",
            },
        }
        for host in asked
    ]
    return {"tls_connection_policies": [*policies, {}], "strict_sni_host": True}


def user_file(name: str, files: str = FILES) -> str:
    """Where the hash of a user's password is on the host."""
    return f"{files}/user-{name}"


def authority_file(host: str, files: str = FILES) -> str:
    """Where the authority is whose clients may come to a name."""
    return f"{files}/clients-{host}.pem"


def _forward(model: Model, forward: ForwardAuth, transport: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Asks another service about each request; what that does not answer with 2xx is the answer to the client."""
    parts = urllib.parse.urlsplit(forward["url"])
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    node = next((name for name in model["nodes"] if model["hosts"][name]["dns"] == host), "")
    if node and model["wireguard"]:
        host = str(model["wireguard"]["nodes"][node]["addresses"][0])
    passed = [
        {
            "match": [{"not": [{"vars": {f"{{http.reverse_proxy.header.{name}}}": [""]}}]}],
            "handle": [
                {"handler": "headers", "request": {"set": {name: [f"{{http.reverse_proxy.header.{name}}}"]}}},
            ],
        }
        for name in forward["headers"]
    ]
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"[{host}]:{port}" if ":" in host else f"{host}:{port}"}],
        "rewrite": {"method": "GET", "uri": forward["url"].partition(parts.netloc)[2]},
        "headers": {
            "request": {
                "set": {
                    "Host": ["{http.reverse_proxy.upstream.hostport}"],
                    "X-Forwarded-Method": ["{http.request.method}"],
                    "X-Forwarded-Uri": ["{http.request.uri}"],
                },
                # A question is no upgrade, even if what it is about is one.
                "delete": ["Connection", "Upgrade"],
            }
        },
        "transport": {
            **(transport if node else {"protocol": "http", "dial_timeout": AUTH_DIAL_TIMEOUT}),
            "response_header_timeout": AUTH_TIMEOUT,
            **({"tls": {}} if parts.scheme == "https" else {}),
        },
        # Without a route this would be no handler of its own, and the answer would go to the client.
        "handle_response": [{"match": {"status_code": [2]}, "routes": [{"handle": [{"handler": "vars"}]}, *passed]}],
    }
