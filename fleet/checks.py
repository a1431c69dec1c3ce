# SPDX-License-Identifier: MIT
"""What is wrong with a topology's data: its shape (by `topology.schema.json`), and what goes across its keys."""

from __future__ import annotations

import functools
import json
import operator
import typing as t
from collections import Counter
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import jsonschema_rs

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

SCHEMA = Path(__file__).resolve().with_name("topology.schema.json")
SMALLEST = 24  # prefix length; there must be room for the addresses that `topology.py` gives


def problems(data: t.Any, nat_kinds: Collection[str]) -> Iterator[str]:
    """All mistakes as `key: reason`; across keys is looked at only where the shape is right."""
    shape = list(_shape(data))
    yield from shape
    if not shape:
        yield from _nats(data, nat_kinds)
        yield from _names(data)
        yield from _services(data)
        yield from _numbers(data)


def _shape(data: t.Any) -> Iterator[str]:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    # What YAML has and JSON has not, such as dates and numbers as keys, is read as text.
    errors = jsonschema_rs.validator_for(schema).iter_errors(json.loads(json.dumps(data, default=str)))
    for error in sorted(errors, key=lambda each: [str(part) for part in each.instance_path]):
        path, kind = error.instance_path, t.cast("t.Any", error.kind)
        broken = functools.reduce(operator.getitem, error.schema_path[:-1], schema)
        if kind.name == "additionalProperties":
            for key in sorted(kind.unexpected):
                yield f"{_key([*path, key])}: unknown key (known here: {', '.join(broken['properties'])})"
        elif kind.name == "required":
            yield f"{_key([*path, kind.property])}: missing"
        elif kind.name == "minProperties":
            yield f"{_key(path)}: at least one host is needed"
        elif kind.name == "enum":
            yield f"{_key(path)}: unknown value {error.instance!r} (known: {', '.join(kind.options)})"
        elif kind.name == "propertyNames":
            yield f"{_key([*path, kind.error.instance])}: not a {broken.get('title', 'name')}"
        elif "title" in broken and kind.name in {"pattern", "maxLength"}:
            yield f"{_key(path)}: {error.instance!r} is not a {broken['title']}"
        else:
            yield f"{_key(path)}: {error.message}"


def _key(path: Iterable[t.Any]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".") or "the file"


def _nats(data: dict[str, t.Any], kinds: Collection[str]) -> Iterator[str]:
    for name, home in data.get("homes", {}).items():
        if home["nat"] not in kinds:
            yield f"homes.{name}.nat: unknown NAT kind {home['nat']!r} (known: {', '.join(kinds)})"


def _names(data: dict[str, t.Any]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for where, name, _host in _hosts(data):
        if name in seen:
            yield f"{where}: the name {name!r} is taken by {seen[name]}"
        seen.setdefault(name, where)


def _services(data: dict[str, t.Any]) -> Iterator[str]:
    for where, _name, host in _hosts(data):
        services = host.get("services", [])
        if services and "nodes" not in host["groups"]:
            yield f"{where}.services: only a host of the group nodes serves something"
        for port, count in Counter(service["port"] for service in services).items():
            if count > 1:
                yield f"{where}.services: the port {port} is used {count} times"


def _numbers(data: dict[str, t.Any]) -> Iterator[str]:
    for where, text in _networks(data):
        try:
            network = IPv4Network(text)
        except ValueError as error:
            yield f"{where}: not an IPv4 network ({error})"
        else:
            if network.prefixlen > SMALLEST:
                yield f"{where}: {text} is too small, a /{SMALLEST} or larger is needed"
    for where, text in _addresses(data):
        try:
            IPv4Address(text)
        except ValueError as error:
            yield f"{where}: not an IPv4 address ({error})"


def _hosts(data: dict[str, t.Any]) -> Iterator[tuple[str, str, dict[str, t.Any]]]:
    for name, host in data["public"].items():
        yield f"public.{name}", name, host
    for home, values in data.get("homes", {}).items():
        for name, host in values["hosts"].items():
            yield f"homes.{home}.hosts.{name}", name, host


def _networks(data: dict[str, t.Any]) -> Iterator[tuple[str, str]]:
    if "internet" in data:
        yield "internet", data["internet"]
    for name, home in data.get("homes", {}).items():
        if "network" in home:
            yield f"homes.{name}.network", home["network"]


def _addresses(data: dict[str, t.Any]) -> Iterator[tuple[str, str]]:
    owners = [(where, host) for where, _name, host in _hosts(data)]
    owners += [(f"homes.{name}", home) for name, home in data.get("homes", {}).items()]
    yield from ((f"{where}.address", owner["address"]) for where, owner in owners if "address" in owner)
