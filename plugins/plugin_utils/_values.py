# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Reading single values of an inventory, which may be anything YAML can say, without ever raising."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import re
import typing as t

SHOWN_LENGTH = 60
HIDDEN = "(hidden)"  # what is said of a secret that is wrong
INT_BITS = 64
DNS_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.ASCII)
DNS_LENGTH = 253
INNER = [
    ipaddress.ip_network(net)
    for net in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "fc00::/7", "fe80::/10", "::1/128",
    )
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Broken:
    """A value that could not be had, for example because its template refers to nothing."""

    reason: str


class Problems:
    """Collects the inventory's mistakes, each as one line: where, variable, found, reason, fix."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._broken: set[tuple[str, str]] = set()

    def add(self, where: str, variable: str, found: object, reason: str, fix: str) -> None:
        if isinstance(found, Broken):
            self._broken.add((where, variable))
        elif (where, variable) in self._broken:
            return  # what follows from a value that cannot be had
        where = where if len(where) <= 2 * SHOWN_LENGTH else f"{where[:SHOWN_LENGTH]}..."
        text = " ".join(f"{where}: {variable}: found {shown(found)}: {reason}. {fix}.".split())
        line = (
            text if text.isprintable() else "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
        )
        if line not in self.lines:
            self.lines.append(line)


def shown(value: object) -> str:
    """The value as short JSON on one line; nothing for what is not set."""
    if value is None:
        return "nothing"
    if isinstance(value, Broken):
        return "a value that cannot be had"
    text = as_json(value)
    return text if len(text) <= SHOWN_LENGTH else f"{text[: SHOWN_LENGTH - 3]}..."


def as_json(value: object) -> str:
    """The whole value; two that are equal give the same text."""
    return json.dumps(value, default=str, ensure_ascii=True, skipkeys=True)


def printable(value: str) -> bool:
    """Whether the text is one line of letters, signs and spaces: nothing that ends a line or steers a terminal."""
    return value.isprintable()


def several(hosts: list[str]) -> str:
    return ", ".join(hosts) if len(hosts) <= 3 else f"{', '.join(hosts[:3])} and {len(hosts) - 3} more"


def plain(value: object) -> t.Any:
    """A copy without the subclasses that Ansible tags values with; what is no JSON becomes its text."""
    if isinstance(value, bool) or value is None or isinstance(value, Broken):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        # A longer one is no number of ours, and from some length on Python writes no decimal digits.
        return int(value) if value.bit_length() <= INT_BITS else hex(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    return str(value)


def dns_name(value: object) -> str | None:
    """The name in lower case if it is a DNS name of at least two labels, like hub.example.com; else None."""
    # Some letters of other scripts have one of ours as their lower case.
    if not isinstance(value, str) or len(value) > DNS_LENGTH or not value.isascii():
        return None
    name = value.lower()
    labels = name.split(".")
    if len(labels) < 2 or labels[-1].isdecimal() or not all(DNS_LABEL.fullmatch(label) for label in labels):
        return None
    return name


def ip_address(value: object) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if not isinstance(value, str) or "%" in value:
        return None
    try:
        return ipaddress.ip_address(value)
    except ValueError:
        return None


def is_full_path(value: object) -> bool:
    """Whether it says where a file is; a path that is not full would begin at the playbook, among its files."""
    return isinstance(value, str) and printable(value) and value.startswith(("/", "~"))


def is_network(value: object) -> bool:
    """A network as daemons print it: with its length, without bits of hosts, IPv6 in lower case and short."""
    try:
        return isinstance(value, str) and str(ipaddress.ip_network(value)) == value
    except ValueError:
        return False


def is_inner(value: object) -> bool:
    """Whether it is an address that is not of the internet, so that there may be more than one machine with it."""
    address = ip_address(value)
    return address is not None and any(address in net for net in INNER if net.version == address.version)


def port_number(value: object) -> int | None:
    """8000 and "8000" are ports; true, 8000.0 and 0 are not."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,5}", value, re.ASCII):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value < 65536 else None


def dns_label(name: str) -> str | None:
    """An inventory name as a DNS label, or None if it cannot be one."""
    label = name.lower().replace("_", "-").replace(".", "-")
    return label if name.isascii() and DNS_LABEL.fullmatch(label) else None


def inside(name: str, domain: str) -> bool:
    """Whether the name is the domain or below it."""
    return name == domain or name.endswith(f".{domain}")
