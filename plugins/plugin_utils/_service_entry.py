# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""One entry of mesh_services, read with everything noted that is wrong with it."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._service_access import HTTP_KEYS, STREAM_KEYS, read_access
from ansible_collections.wonder.mesh.plugins.plugin_utils._types import SSH_PORT
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import HIDDEN, dns_name, port_number

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Access
    from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems

VARIABLE = "mesh_services"
COMMON = ("name", "port", "host", "protocol")
# What an entry of each protocol may say besides.
PROTOCOLS = {
    "http": ("path", "health", "certificate", *HTTP_KEYS),
    "tls": ("proxy_protocol", *STREAM_KEYS),
    "tcp": ("public_port", "proxy_protocol", *STREAM_KEYS),
    "udp": ("public_port", "health", *STREAM_KEYS),
}
CERTIFICATES = ("auto", "internal")
WEB_PORT = 443  # where http and tls are served
RANGE_LENGTH = 1000  # each port is a listener of the gateway
EXAMPLE = "{name: hello, port: 8000, host: hello.example.com}"
# As in URLs; longer ones meet somebody's limit on the way.
PATH_LENGTH, HEALTH_LENGTH = 255, 1024
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
# No braces, stars or dots-only segments: Caddy would read them as placeholders and patterns.
PATH = re.compile(r"/|(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+/?", re.ASCII)
# One that begins with two slashes names another host, and a percent sign begins two hexadecimal digits.
HEALTH = re.compile(r"/(?!/)(?:[A-Za-z0-9._~/?=&+,;:@!-]|%[0-9A-Fa-f]{2})*", re.ASCII)
TEXT = re.compile(r"[ -~]+", re.ASCII)
RANGE = re.compile(r"(\d{1,5})-(\d{1,5})", re.ASCII)
SECRET_KEY = re.compile(r"auth|pass|secret|token|user", re.IGNORECASE)  # the value of such a key is not shown


@dataclasses.dataclass(frozen=True)
class Entry:
    """One valid entry of one node. count: how many ports in a row, from port and from public_port."""

    node: str
    name: str
    protocol: str
    host: str  # "" for none
    path: str  # "" but for http
    health: str  # a path for http, what to send for udp, or "" for none
    port: int
    public_port: int
    count: int
    proxy_protocol: bool
    certificate: str  # one of CERTIFICATES; "" but for http
    access: Access

    @property
    def place(self) -> tuple[str, str, str, int]:
        """What the internet asks for; entries that are equal in it are replicas of one service."""
        if self.protocol in ("http", "tls"):
            return self.host, self.path.lower(), self.protocol, WEB_PORT  # Caddy does not tell capitals in a path
        return "", "", self.protocol, self.public_port

    @property
    def said(self) -> str:
        """The place for people."""
        if self.protocol in ("http", "tls"):
            return f"{self.host}{self.path}"
        return f"{self.protocol.upper()} {port_range(self.public_port, self.count)}"


def port_range(first: int, count: int) -> str:
    """8000, or 8000-8010 for eleven of them."""
    return str(first) if count == 1 else f"{first}-{first + count - 1}"


def read_entry(node: str, where: str, item: t.Any, problems: Problems) -> Entry | None:
    """The entry, or None with everything noted that is wrong with it."""
    before = len(problems.lines)
    if not isinstance(item, dict):
        problems.add(node, where, item, "a service is a mapping", f"Write it as {EXAMPLE}")
        return None
    protocol = "http" if item.get("protocol") is None else item["protocol"]
    if not isinstance(protocol, str) or protocol not in PROTOCOLS:
        reason, fix = "there is no such protocol", f"Use {', '.join(PROTOCOLS)}, or leave it out"
        problems.add(node, f"{where}.protocol", protocol, reason, fix)
        return None
    _check_keys(node, where, item, protocol, problems)

    def text(key: str, default: str | None, pattern: re.Pattern[str], reason: str, fix: str, length: int = 63) -> str:
        value = default if item.get(key) is None else item[key]
        if value is None:
            return ""
        if not isinstance(value, str) or not pattern.fullmatch(value) or len(value) > length:
            reason = f"it is longer than {length}" if isinstance(value, str) and len(value) > length else reason
            problems.add(node, f"{where}.{key}", value, reason, fix)
            return ""
        return value

    name = text("name", None, NAME, "it is no name", "Use letters, digits, dots, dashes and underscores")
    path = health = certificate = ""
    if protocol == "http":
        certificate = _certificate(node, f"{where}.certificate", item.get("certificate"), problems)
        path = text(
            "path", "/", PATH, "a path starts with / and is plain", "Write it like /blog, or leave it out", PATH_LENGTH
        )
        # A program of gRPC answers no GET, so without a word it is not asked.
        usual = None if item.get("h2c") is True else "/"
        health = text(
            "health", usual, HEALTH, "a health path starts with / and is plain", "Write it like /healthz", HEALTH_LENGTH
        )
    elif protocol == "udp":
        health = text(
            "health", None, TEXT, "it is no line of ASCII", "Set it to a text that the program answers", HEALTH_LENGTH
        )
    host = dns_name(item.get("host"))
    if item.get("host") is not None and host is None:
        fix = "Set it to the name that the internet calls, like hello.example.com"
        problems.add(node, f"{where}.host", item["host"], "it must be a DNS name", fix)
    port, public_port, count = _ports(node, where, item, protocol, problems)
    proxy_protocol = item.get("proxy_protocol")
    if proxy_protocol is not None and not isinstance(proxy_protocol, bool):
        reason = "it is neither true nor false"
        problems.add(node, f"{where}.proxy_protocol", proxy_protocol, reason, "Use true or false")
    access = read_access(node, where, item, problems)
    if len(problems.lines) > before:
        return None
    path = (path.rstrip("/") or "/") if protocol == "http" else ""
    return Entry(
        node, name, protocol, host or "", path, health, port, public_port, count, proxy_protocol is True, certificate,
        access,
    )  # fmt: skip


def _check_keys(node: str, where: str, item: dict[t.Any, t.Any], protocol: str, problems: Problems) -> None:
    known = (*COMMON, *PROTOCOLS[protocol])
    for key in sorted(set(item) - set(known), key=str):
        of_others = any(key in keys for keys in PROTOCOLS.values())
        reason = f"a service of protocol {protocol} has none" if of_others else "a service has no such key"
        found = HIDDEN if SECRET_KEY.search(str(key)) else item[key]
        problems.add(node, f"{where}.{key}", found, reason, f"Use {', '.join(known)}")
    needed = ("name", "port", "host") if protocol in ("http", "tls") else ("name", "port")
    for key in needed:
        if item.get(key) is None:
            problems.add(node, f"{where}.{key}", None, f"a service needs a {key}", f"Write it as {EXAMPLE}")


def _certificate(node: str, where: str, value: t.Any, problems: Problems) -> str:
    if value is None or (isinstance(value, str) and value in CERTIFICATES):
        return value or CERTIFICATES[0]
    fix = f"Use {' or '.join(CERTIFICATES)}; files of certificates are in caddy_certificates of the gateway"
    problems.add(node, where, value, "it is no choice", fix)
    return ""


def _ports(node: str, where: str, item: dict[t.Any, t.Any], protocol: str, problems: Problems) -> tuple[int, int, int]:
    """The first port of the node, the first of the gateways, and how many there are; (0, 0, 0) if they are wrong."""
    streams = protocol in ("tcp", "udp")
    own = _range(node, f"{where}.port", item.get("port"), streams, problems)
    public = _range(node, f"{where}.public_port", item.get("public_port"), streams, problems)
    if own and own[0] <= SSH_PORT < own[0] + own[1] and protocol != "udp":
        problems.add(
            node, f"{where}.port", item["port"], "SSH has this port", "Set it to the port the program listens on"
        )
        return 0, 0, 0
    if own and public and own[1] != public[1]:
        reason = f"port has {own[1]} and public_port has {public[1]}, and each is one of the other"
        problems.add(node, f"{where}.public_port", item["public_port"], reason, "Make both of the same length")
        return 0, 0, 0
    if not own:
        return 0, 0, 0
    first = (public or own)[0] if streams else WEB_PORT
    return own[0], first, own[1]


def _range(node: str, where: str, value: t.Any, ranges: bool, problems: Problems) -> tuple[int, int] | None:
    """The first port and how many there are; None for nothing, and for what is wrong and noted."""
    port = port_number(value)
    if value is None or port:
        return (port, 1) if port else None
    match = RANGE.fullmatch(value) if ranges and isinstance(value, str) else None
    ends = [port_number(each) for each in match.groups()] if match else []
    if len(ends) == 2 and ends[0] and ends[1] and ends[0] < ends[1]:
        if ends[1] - ends[0] < RANGE_LENGTH:
            return ends[0], ends[1] - ends[0] + 1
        reason = f"it has more than {RANGE_LENGTH} ports"
    else:
        reason = "a port is a number from 1 to 65535" + (', and a range is like "8000-8010"' if ranges else "")
    problems.add(node, where, value, reason, "Set it to the port the program listens on")
    return None
