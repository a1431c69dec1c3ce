# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The part of Caddy's JSON that says where certificates come from: files, an ACME authority, or the host's own one.

Verified with Caddy 2.11: names with a certificate from a file get no other; a name below a wildcard that is got gets
none of its own, unless it is named under ``automate``. Without DNS the authority asks the host at its ports 80 and 443.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._acme import ALGORITHMS, with_port

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Service

INTERNAL = "internal"


@dataclasses.dataclass(frozen=True)
class Acme:
    """What automatic HTTPS is told. secret: the file on the host with what the DNS provider asks for."""

    email: str = ""
    ca: str = ""
    dns: Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    secret: str = ""
    wildcards: Sequence[str] = ()


def tls_apps(
    certificates: Sequence[Mapping[str, str]], acme: Acme, services: Iterable[Service], shared: bool = False
) -> dict[str, t.Any]:
    """The apps ``tls`` and, where the host's own authority is needed, ``pki``.

    shared: whether other gateways serve the same names, so that only a challenge that is handed on finds its answer.
    """
    internal = sorted({service["host"] for service in services if service["certificate"] == INTERNAL})
    loaded: dict[str, t.Any] = {}
    if certificates:
        loaded["load_files"] = [dict(each) for each in certificates]
    if acme.wildcards or internal:
        loaded["automate"] = [*sorted(each.lower() for each in acme.wildcards), *internal]
    policies: list[dict[str, t.Any]] = []
    if internal:
        policies.append({"subjects": internal, "issuers": [{"module": "internal"}]})
    if issuer := _issuer(acme, shared):
        policies.append({"issuers": [{"module": "acme", **issuer}]})
    tls: dict[str, t.Any] = {"certificates": loaded} if loaded else {}
    if policies:
        tls["automation"] = {"policies": policies}
    # Nothing of the host trusts it but who is told to.
    own = {"certificate_authorities": {"local": {"install_trust": False}}}
    return {"tls": tls, **({"pki": own} if internal else {})}


def _issuer(acme: Acme, shared: bool) -> dict[str, t.Any]:
    issuer: dict[str, t.Any] = {key: value for key, value in (("email", acme.email), ("ca", acme.ca)) if value}
    if acme.dns:
        challenge: dict[str, t.Any] = {"provider": _provider(acme)}
        if acme.dns.get("resolvers"):
            challenge["resolvers"] = [with_port(each) for each in acme.dns["resolvers"]]
        issuer["challenges"] = {"dns": challenge}
    elif shared:
        issuer["challenges"] = {"tls-alpn": {"disabled": True}}
    return issuer


def _provider(acme: Acme) -> dict[str, str]:
    secret = f"{{file.{acme.secret}}}"
    if acme.dns["provider"] == "cloudflare":
        return {"name": "cloudflare", "api_token": secret}
    return {
        "name": "rfc2136",
        "server": with_port(acme.dns["server"]),
        "key_name": acme.dns["key_name"],
        "key_alg": acme.dns.get("algorithm") or ALGORITHMS[0],
        "key": secret,
    }
