# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""How a host's Caddy proves to a certificate authority that a name is ours, as far as the inventory says it: by DNS.

The secret of the DNS provider is never said, not even where it is wrong.
"""

from __future__ import annotations

import base64
import binascii
import re
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._options import players, value_of
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import HIDDEN, dns_name, ip_address, port_number

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems
    from ansible_collections.wonder.mesh.plugins.plugin_utils._world import World

VARIABLE, WILDCARDS = "caddy_acme_dns", "caddy_acme_wildcards"
SECRET, SECRET_FILE = "caddy_acme_dns_secret", "caddy_acme_dns_secret_file"
DNS_PORT = 53
ALGORITHMS = ("hmac-sha256", "hmac-sha224", "hmac-sha384", "hmac-sha512", "hmac-sha1")
# Of each provider: the keys that it needs, and those that it may have.
PROVIDERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "rfc2136": (("server", "key_name"), ("algorithm", "resolvers")),
    "cloudflare": ((), ("resolvers",)),
}
# What the secret of each provider is called, and what it looks like.
SECRETS = {"rfc2136": ("TSIG key in base64", None), "cloudflare": ("API token", re.compile(r"[A-Za-z0-9_-]{35,50}"))}
KEY_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?", re.ASCII)
EXAMPLE = "{provider: rfc2136, server: 203.0.113.53, key_name: gateway}"


def check_acme(inventory: Inventory, problems: Problems) -> None:
    """What the inventory says of itself, for all hosts with a Caddy."""
    for host in players(inventory, "caddy"):
        dns = value_of(inventory, host, VARIABLE) or {}
        _check_provider(inventory, host, dns, problems)
        _check_wildcards(inventory, host, bool(dns), problems)
        secrets = [name for name in (SECRET, SECRET_FILE) if inventory.get(host, name, problems) not in (None, "")]
        if not dns and secrets:
            reason, fix = "no DNS provider is named that it is for", f"Set {VARIABLE} like {EXAMPLE}, or remove it"
            problems.add(host, secrets[0], HIDDEN, reason, fix)
        elif len(secrets) > 1:
            problems.add(host, SECRET, HIDDEN, f"{SECRET_FILE} is set too", "Keep one of the two")
        elif dns.get("provider") in PROVIDERS and not secrets:
            reason = f"{dns['provider']} needs a {SECRETS[dns['provider']][0]}"
            problems.add(host, SECRET, None, reason, f"Set it from a vault, or name a file of it in {SECRET_FILE}")
        elif dns.get("provider") in PROVIDERS and (secret := value_of(inventory, host, SECRET)):
            _check_secret(host, SECRET, dns["provider"], secret, problems)


def check_acme_files(inventory: Inventory, host: str, names: Sequence[str], world: World, problems: Problems) -> None:
    """The secret that comes from a file, and whether a wildcard is of use for the names that the host serves."""
    provider = (value_of(inventory, host, VARIABLE) or {}).get("provider")
    path = value_of(inventory, host, SECRET_FILE)
    if path and provider in PROVIDERS:
        try:
            content = world.read_file(path)
        except OSError as exc:
            reason = f"the file cannot be read: {exc.strerror or exc}"
            problems.add(host, SECRET_FILE, path, reason, "Name a file that is on the controller")
        else:
            # As Caddy reads it: without the end of its one line.
            text = content.removesuffix(b"\n").removesuffix(b"\r").decode("latin-1")
            _check_secret(host, SECRET_FILE, provider, text, problems, path)
    for wildcard in value_of(inventory, host, WILDCARDS) or ():
        if names and not any(covers(wildcard.lower(), name) for name in names):
            reason = f"none of the names that are served here is one of them: {', '.join(names)}"
            problems.add(host, WILDCARDS, wildcard, reason, "Correct it, or remove it")


def covers(pattern: str, name: str) -> bool:
    """Whether a certificate for the pattern, which may begin with a star, is one for the name."""
    if pattern.startswith("*."):
        return name.partition(".")[2] == pattern[2:]
    return pattern == name


def _check_provider(inventory: Inventory, host: str, dns: dict[str, t.Any], problems: Problems) -> None:
    if not dns:
        return
    provider = dns.get("provider")
    if provider not in PROVIDERS:
        reason, fix = "there is no such provider", f"Use {' or '.join(PROVIDERS)}; see docs/certificates.md"
        problems.add(host, f"{VARIABLE}.provider", provider, reason, fix)
        return
    needed, allowed = PROVIDERS[provider]
    for key in needed:
        if dns.get(key) is None:
            problems.add(host, f"{VARIABLE}.{key}", None, f"{provider} needs it", f"Write it like {EXAMPLE}")
    for key in sorted(set(dns) - {"provider", *needed, *allowed}):
        # It may be the secret, in the wrong place.
        reason, fix = f"{provider} has no such key", f"Use {', '.join((*needed, *allowed))}; the secret is {SECRET}"
        problems.add(host, f"{VARIABLE}.{key}", HIDDEN, reason, fix)
    for key, right, fix in (
        ("server", _is_server, "Set it to the server of the zone, like 203.0.113.53 or ns.example.com:53"),
        ("key_name", lambda value: KEY_NAME.fullmatch(value) is not None, "Set it to the name that the server knows"),
        ("algorithm", lambda value: value in ALGORITHMS, f"Use {', '.join(ALGORITHMS)}, or leave it out"),
    ):
        value = dns.get(key)
        if key in needed + allowed and value is not None and not (isinstance(value, str) and right(value)):
            problems.add(host, f"{VARIABLE}.{key}", value, "that it cannot be", fix)
    resolvers = dns.get("resolvers")
    if resolvers is not None and not (isinstance(resolvers, list) and resolvers and all(map(_is_server, resolvers))):
        fix = "Write it as a list like [203.0.113.53], or leave it out"
        problems.add(host, f"{VARIABLE}.resolvers", resolvers, "it must be a list of DNS servers", fix)


def _check_wildcards(inventory: Inventory, host: str, has_dns: bool, problems: Problems) -> None:
    wildcards = value_of(inventory, host, WILDCARDS) or []
    if wildcards and not has_dns:
        reason = "an authority gives certificates for all names of a domain to whom its DNS is"
        problems.add(host, WILDCARDS, wildcards, reason, f"Set {VARIABLE} like {EXAMPLE}, or remove it")
    for each in wildcards:
        if not each.startswith("*.") or dns_name(each[2:]) is None:
            fix = "Write it like *.apps.example.com"
            problems.add(host, WILDCARDS, each, "it is no domain with a star before it", fix)


def _check_secret(host: str, where: str, provider: str, value: str, problems: Problems, path: str = "") -> None:
    """path: of the file that it is from."""
    what, pattern = SECRETS[provider]
    if pattern.fullmatch(value) if pattern else _is_base64(value):
        return
    reason = f"{'it holds' if path else 'it is'} no {what}, on one line and with nothing else"
    problems.add(host, where, path or HIDDEN, reason, "Take it as the DNS provider gives it")


def _is_base64(value: str) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) > 0
    except (binascii.Error, ValueError):
        return False


def _is_server(value: object) -> bool:
    """An address or a name, and perhaps a port."""
    if not isinstance(value, str):
        return False
    if ip_address(value) is not None or dns_name(value) is not None:
        return True
    host, _, port = value.rpartition(":")
    literal = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    known = ip_address(literal)
    named = dns_name(host) is not None if known is None else (known.version == 6) == (literal != host)
    return named and port_number(port) is not None


def with_port(server: str) -> str:
    """The server as host:port."""
    address = ip_address(server)
    if address is not None and address.version == 6:
        return f"[{server}]:{DNS_PORT}"
    return server if ":" in server else f"{server}:{DNS_PORT}"
