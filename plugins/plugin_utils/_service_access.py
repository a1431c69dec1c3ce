# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Who may come to a service, and how much it takes, read from one entry of mesh_services.

What looks like a secret is never said, not even where it is wrong.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
import urllib.parse

from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Access
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import HIDDEN, dns_name, ip_address, printable

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import ForwardAuth
    from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems

# What an entry may say of it, by protocol.
HTTP_KEYS = ("allow", "basic_auth", "forward_auth", "client_certificates", "max_body", "timeout", "h2c")
STREAM_KEYS = ("allow",)
USERS = "caddy_users"
USER = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}", re.ASCII
)  # a file has this name, and a colon ends it in a header
HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,62}", re.ASCII)
# Who sets these says where a request comes from or goes to, or where it ends.
NO_HEADERS = ("connection", "content-length", "host", "te", "trailer", "transfer-encoding", "upgrade")
NO_HEADER_PREFIX = "x-forwarded-"
URL_PATH = re.compile(r"/(?:[A-Za-z0-9._~/?=&+,;:@!-]|%[0-9A-Fa-f]{2})*", re.ASCII)
URL_LENGTH = 1024
# What Authelia, Authentik and others answer with.
IDENTITY = ("Remote-Email", "Remote-Groups", "Remote-Name", "Remote-User")
UNLIMITED = "unlimited"
SIZE = re.compile(r"([1-9][0-9]{0,5}) ?(kB|KiB|MB|MiB|GB|GiB)", re.ASCII)
SIZES = {"kB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30}
TIME = re.compile(r"([1-9][0-9]{0,4})([smh])", re.ASCII)
TIMES = {"s": 1, "m": 60, "h": 3600}
# A video or an image of a container fits, and what has no end does not; a program that says nothing for so long hangs.
MAX_BODY, TIMEOUT = 10 * 2**30, 300
FORWARD = "{url: http://box-1.mesh.example.com:9091/api/authz/forward-auth, headers: [Remote-User]}"


def read_access(node: str, where: str, item: dict[t.Any, t.Any], problems: Problems) -> Access:
    """What the entry says, with what it does not say as by default; with wrong values noted, nothing is sure."""

    def wrong(key: str, found: object, reason: str, fix: str) -> None:
        problems.add(node, f"{where}.{key}", found, reason, fix)

    basic, forward = _users(item.get("basic_auth"), wrong), _forward(item.get("forward_auth"), wrong)
    if basic and forward:
        wrong("basic_auth", basic, "forward_auth asks who it is already", "Keep one of the two")
    authority = item.get("client_certificates")
    if authority is not None and (not isinstance(authority, str) or not authority or not printable(authority)):
        fix = "Name the file of the authority that signs your clients' certificates"
        wrong("client_certificates", authority, "it is no path", fix)
        authority = None
    h2c = item.get("h2c")
    if h2c is not None and not isinstance(h2c, bool):
        wrong("h2c", h2c, "it is neither true nor false", "Use true for a program that speaks HTTP/2 without TLS only")
    return Access(
        allow=_networks(item.get("allow"), wrong),
        basic_auth=basic,
        forward_auth=forward,
        client_certificates=authority or "",
        max_body=_amount("max_body", item.get("max_body"), SIZE, SIZES, MAX_BODY, "500MB", wrong),
        timeout=_amount("timeout", item.get("timeout"), TIME, TIMES, TIMEOUT, "10m", wrong),
        h2c=h2c is True,
    )


class Wrong(t.Protocol):
    def __call__(self, key: str, found: object, reason: str, fix: str) -> None: ...


def _networks(value: t.Any, wrong: Wrong) -> list[str]:
    fix = "Write it like [192.0.2.0/24, 2001:db8::7], or remove it if everybody may come"
    if value is None:
        return []
    if not isinstance(value, list) or not value:
        wrong("allow", value, "it must be a list of networks and addresses", fix)
        return []
    found: list[str] = []
    for each in value:
        try:
            network = ipaddress.ip_network(each if isinstance(each, str) else "")
        except ValueError:
            wider = _without_host_bits(each)
            reason = "its address has bits beyond its length" if wider else "it is neither network nor address"
            wrong("allow", each, reason, f"Write {wider}" if wider else fix)
            continue
        if str(network) in found:
            wrong("allow", each, "it is named twice", "Name it once")
        found.append(str(network))
    return sorted(found)


def _without_host_bits(value: object) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False)) if isinstance(value, str) else ""
    except ValueError:
        return ""


def _users(value: t.Any, wrong: Wrong) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        reason = f"it must be a list of names; the hash of each one's password is in {USERS} of the gateways"
        wrong("basic_auth", HIDDEN, reason, f"Write it like [alice, bob], and set {USERS}")
        return []
    if not all(USER.fullmatch(each) for each in value) or len(set(value)) < len(value):
        fix = "Use letters, digits, dots, dashes, underscores and @"
        wrong("basic_auth", HIDDEN, "one is no name, or is there twice", fix)
        return []
    return sorted(value)


def _forward(value: t.Any, wrong: Wrong) -> ForwardAuth | None:
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) - {"url", "headers"}:
        wrong(
            "forward_auth", HIDDEN, "it must have a url, may have headers, and nothing else", f"Write it as {FORWARD}"
        )
        return None
    url, headers = value.get("url"), value.get("headers")
    if not isinstance(url, str) or not _is_url(url):
        reason = "it is no http address with a path, without user and password"
        wrong("forward_auth.url", HIDDEN if "@" in str(url) else url, reason, f"Write it as {FORWARD}")
        url = ""
    names = list(IDENTITY) if headers is None else headers
    if not isinstance(names, list) or not all(isinstance(each, str) and _is_header(each) for each in names):
        reason = "it must be a list of names of headers, none of which says where a request comes from or ends"
        wrong("forward_auth.headers", names, reason, "Write it like [Remote-User, Remote-Groups], or remove it")
        names = []
    return {"url": url, "headers": sorted({each.title() for each in names})}


def _is_header(name: str) -> bool:
    lower = name.lower()
    return bool(HEADER.fullmatch(name)) and lower not in NO_HEADERS and not lower.startswith(NO_HEADER_PREFIX)


def _is_url(value: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    return (
        len(value) <= URL_LENGTH
        and parts.scheme in ("http", "https")
        and "@" not in parts.netloc
        and (host == "localhost" or dns_name(host) is not None or ip_address(host) is not None)
        and port != 0
        and not parts.fragment
        and URL_PATH.fullmatch(parts.path + (f"?{parts.query}" if parts.query else "")) is not None
    )


def _amount(
    key: str, value: t.Any, pattern: re.Pattern[str], units: dict[str, int], default: int, example: str, wrong: Wrong
) -> int:
    """In bytes or seconds; 0 for no limit."""
    if value is None:
        return default
    if value == UNLIMITED:
        return 0
    match = pattern.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        reason = f"it is no number with {', '.join(units)} behind it"
        wrong(key, value, reason, f"Write it like {example}, or {UNLIMITED}")
        return default
    return int(match[1]) * units[match[2]]
