# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""The map of relays as the coordinator publishes it, and whether it is whole.

Headscale starts with a map that is cut at the end of a line, that lacks hosts, or whose keys it does not know, and
exits when it meets a value of a wrong type; its ``configtest`` does not read the map. So it is judged here.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import typing as t

MAP = "/etc/headscale/derp.yaml"
REGIONS = range(900, 999)  # for users; 999 is the coordinator's own
NO_ADDRESS = "none"
HASH = re.compile(r"# The sha256 of all that follows: ([0-9a-f]{64})\n")
BEGIN = "\nregions:\n"
# Each has a line: its number, and itself as JSON, which is YAML too.
REGION = re.compile(r"  ([0-9]+): (\{.*\})")
PIN = re.compile(r"sha256-raw:[0-9a-f]{64}")
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
NAME = re.compile(rf"(?=.{{1,253}}$){LABEL.pattern}(\.{LABEL.pattern})*")


class MapError(ValueError):
    """A map is damaged; the message says what was found."""


def published(path: str = MAP) -> list[dict[str, t.Any]] | None:
    """The regions of the map there: none without one, and None of one that is damaged."""
    try:
        with open(path, "rb") as stream:
            return read(stream.read())
    except FileNotFoundError:
        return []
    except MapError:
        return None


def read(content: bytes) -> list[dict[str, t.Any]]:
    """The regions of a map that is as our role writes it. Raises MapError for any other."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise MapError("it is no text") from None
    head = HASH.match(text)
    if head is None or hashlib.sha256(text[head.end() :].encode()).hexdigest() != head[1]:
        raise MapError("it does not begin with the hash of all that follows")
    _comment, _begin, lines = text.partition(BEGIN)
    regions = [_region(line) for line in lines.splitlines()]
    numbers = [region["regionid"] for region in regions]
    if not regions or numbers != sorted(set(numbers)):
        raise MapError(f"its regions are {numbers}, and must be at least one, each once and in their order")
    return regions


def check_region(region: object) -> dict[str, t.Any]:
    """A region as P(wonder.mesh.derp_map#filter) makes it. Raises MapError for any other."""
    found = _checked("a region", region, REGION_KEYS)
    (node,) = found["nodes"]
    node = _checked(f"the relay {found['regioncode']}", node, NODE_KEYS, OPTIONAL_KEYS)
    number = found["regionid"]
    expected = {"regionname": found["regioncode"], "regionid": number, "name": f"{number}a"}
    for key, value in {**found, **node}.items():
        if expected.get(key, value) != value:
            raise MapError(f"{key} of the region {number} is {value!r}, and must be {expected[key]!r}")
    return found


def _region(line: str) -> dict[str, t.Any]:
    match = REGION.fullmatch(line)
    try:
        region = check_region(json.loads(match[2] if match else ""))
    except json.JSONDecodeError:
        raise MapError(f"a line of it is {line[:100]!r}, and must be a region") from None
    if match is None or int(match[1]) != region["regionid"]:
        raise MapError(f"the region {region['regionid']} has another number before it")
    return region


def _checked(
    what: str,
    value: object,
    keys: t.Mapping[str, t.Callable[[t.Any], bool]],
    optional: t.Mapping[str, t.Callable[[t.Any], bool]] = {},
) -> dict[str, t.Any]:
    if not isinstance(value, dict) or not keys.keys() <= value.keys() <= {*keys, *optional}:
        raise MapError(f"{what} is {value!r}, and must have exactly {', '.join(keys)}")
    for key, is_right in {**keys, **optional}.items():
        if key in value and not is_right(value[key]):
            raise MapError(f"{key} of {what} cannot be {value[key]!r}")
    return value


def _is_text(pattern: re.Pattern[str]) -> t.Callable[[t.Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_number(numbers: range) -> t.Callable[[t.Any], bool]:
    return lambda value: type(value) is int and value in numbers


def _is_address(version: int) -> t.Callable[[t.Any], bool]:
    return lambda value: value == NO_ADDRESS or _version(value) == version


def _version(value: object) -> int:
    """Of an IP address; 0 of anything else."""
    try:
        return ipaddress.ip_address(value if isinstance(value, str) else "").version
    except ValueError:
        return 0


PORT = _is_number(range(1, 65536))
REGION_KEYS: dict[str, t.Callable[[t.Any], bool]] = {
    "regionid": _is_number(REGIONS),
    "regioncode": _is_text(LABEL),
    "regionname": _is_text(LABEL),
    "nodes": lambda value: isinstance(value, list) and len(value) == 1,
}
NODE_KEYS: dict[str, t.Callable[[t.Any], bool]] = {
    "name": _is_text(LABEL),
    "regionid": _is_number(REGIONS),
    "hostname": lambda value: _version(value) > 0 or _is_text(NAME)(value),
    "derpport": PORT,
    "stunport": PORT,
    "canport80": lambda value: value is False,
}
OPTIONAL_KEYS = {"ipv4": _is_address(4), "ipv6": _is_address(6), "certname": _is_text(PIN)}
