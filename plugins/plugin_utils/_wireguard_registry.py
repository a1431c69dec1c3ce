# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The registry of a WireGuard mesh: which node has which addresses and which public key.

It is public, lies beside the inventory and on every node, and may be committed: one line per node, sorted, so that
version control shows and merges it well. With it a run knows all peers without contacting them.

Each change of a node's entry has a higher serial. Merging takes the highest, name by name; two different entries of the
same serial are both kept, and are a conflict that the run refuses. So merging is commutative, associative and
idempotent, whatever the copies and their order. A node that is gone leaves an empty entry, or else an old copy would
bring it back.
"""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._values import printable
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_addresses import FAMILIES, number

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems

VERSION = 1
KEY = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw480]=", re.ASCII)
NO_KEY = "A" * 43 + "="
SERIALS = range(1, 2**53)
VARIABLE = "wireguard registry"  # what problems name


class RegistryError(ValueError):
    """The text is no registry; the message says what was found and what to do."""


def is_key(value: object) -> bool:
    """Whether it is a WireGuard public key: 32 bytes as base64, not all of them zero."""
    return isinstance(value, str) and KEY.fullmatch(value) is not None and value != NO_KEY


@dataclasses.dataclass(frozen=True, order=True)
class Entry:
    """What is known of one node. Without addresses and key, that it is gone."""

    serial: int
    addresses: tuple[str, ...] = ()
    public_key: str = ""


@dataclasses.dataclass(frozen=True)
class Registry:
    """nodes: by name, the entries of the highest serial; more than one are a conflict."""

    nodes: dict[str, frozenset[Entry]] = dataclasses.field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Registry:
        """Raises RegistryError for what dumps() cannot have written, empty text excepted."""
        if not text.strip():
            return cls()
        try:
            data = json.loads(text, object_pairs_hook=_once)
        except (ValueError, RecursionError) as exc:
            raise RegistryError(f"it is no JSON ({exc}). Take it from version control, or from a node") from exc
        if not isinstance(data, dict) or data.get("version") != VERSION or not isinstance(data.get("nodes"), dict):
            raise RegistryError(f"it is no registry of version {VERSION}. Take it from version control, or from a node")
        return cls({name: _entries(name, value) for name, value in data["nodes"].items()})

    def dumps(self) -> str:
        """The same registry is the same text, however it came about."""
        lines = [
            f"    {json.dumps(name)}: {json.dumps([_plain(each) for each in sorted(self.nodes[name])])}"
            for name in sorted(self.nodes)
        ]
        nodes = ",\n".join(lines)
        return f'{{\n  "version": {VERSION},\n  "nodes": {{\n{nodes}\n  }}\n}}\n' if lines else ""

    def get(self, name: str) -> Entry | None:
        """The entry of a node; None if there is none, if the node is gone, or if there is a conflict about it."""
        entries = self.nodes.get(name, frozenset())
        entry = next(iter(entries)) if len(entries) == 1 else None
        return entry if entry is not None and (entry.addresses or entry.public_key) else None

    def merge(self, other: Registry) -> Registry:
        """All that both know."""
        merged = dict(self.nodes)
        for name, entries in other.nodes.items():
            merged[name] = _join(merged.get(name, frozenset()), entries)
        return Registry(merged)

    def record(self, name: str, addresses: Iterable[str], public_key: str | None) -> Registry:
        """With this about the node, which settles a conflict about it too; without a key the one that it has stays."""
        found, entry = self.nodes.get(name, frozenset()), self.get(name)
        wanted = tuple(addresses), public_key or (entry.public_key if entry else "")
        known = (entry.addresses, entry.public_key) if entry else ((), "")
        if known == wanted and len(found) < 2:
            return self
        return Registry({**self.nodes, name: frozenset({Entry(_next(found), *wanted)})})

    def forget(self, name: str) -> Registry:
        """Without a node that is gone: its addresses and its key are free for others."""
        entry = self.nodes.get(name)
        if entry is None or (len(entry) == 1 and self.get(name) is None):
            return self
        return Registry({**self.nodes, name: frozenset({Entry(_next(entry))})})

    def names(self) -> list[str]:
        """All nodes that are not gone, sorted."""
        return sorted(name for name in self.nodes if self.get(name) is not None)


def check_registry(registry: Registry, problems: Problems) -> None:
    for name, entries in sorted(registry.nodes.items()):
        if len(entries) > 1:
            one, other, *_ = sorted(entries)
            fix = "Keep the line that is right in one of the registries, with a serial higher than both"
            reason = f"one registry has {_shown(one)}, another {_shown(other)}, and neither is the newer"
            problems.add(name, VARIABLE, [_plain(each) for each in sorted(entries)], reason, fix)


def check_keys(registry: Registry, found: Mapping[str, str], problems: Problems) -> None:
    """found: the public keys that hosts have just shown. A key is one machine's, so two names with one are a copy."""
    owners: dict[str, str] = {}
    for name in registry.names():
        entry = registry.get(name)
        if name not in found and entry is not None and entry.public_key:
            _own(name, entry.public_key, owners, problems)
    for name in sorted(found):
        if not is_key(found[name]):
            reason = "it is no public key of WireGuard (32 bytes as base64)"
            problems.add(
                name, "public key", found[name], reason, "Correct the key file on the host, or let one be made"
            )
        else:
            _own(name, found[name], owners, problems)


def _own(name: str, key: str, owners: dict[str, str], problems: Problems) -> None:
    other = owners.setdefault(key, name)
    if other != name:
        reason = f"{other} has the same key, as if one were made from the other's image"
        fix = f"Have a new key made on the copy (regenerate: always); if {other} was renamed, forget it in the registry"
        problems.add(name, "public key", key, reason, fix)


def _next(entries: frozenset[Entry]) -> int:
    return max((each.serial for each in entries), default=0) + 1


def _join(one: frozenset[Entry], other: frozenset[Entry]) -> frozenset[Entry]:
    both = one | other
    newest = max(each.serial for each in both)
    return frozenset(each for each in both if each.serial == newest)


def _shown(entry: Entry) -> str:
    return " ".join([*entry.addresses, entry.public_key or "without a key"])


def _plain(entry: Entry) -> dict[str, t.Any]:
    known = {"addresses": list(entry.addresses), "public_key": entry.public_key}
    return {**{key: value for key, value in known.items() if value}, "serial": entry.serial}


def _once(pairs: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key stands there twice")
    return dict(pairs)


def _entries(name: str, value: object) -> frozenset[Entry]:
    items = value if isinstance(value, list) else []
    entries = frozenset(_entry(name, each) for each in items)
    if not entries or len({each.serial for each in entries}) > 1:
        raise RegistryError(f"{_quoted(name)} has no list of entries of one serial. Correct the line, or remove it")
    return entries


def _entry(name: str, value: object) -> Entry:
    item = value if isinstance(value, dict) else {}
    addresses, key, serial = item.get("addresses", []), item.get("public_key", ""), item.get("serial")
    right = (
        type(serial) is int and serial in SERIALS and item.keys() <= {"addresses", "public_key", "serial"}
        and (key == "" or is_key(key)) and isinstance(addresses, list)
        and all(isinstance(each, str) and _is_address(each) for each in addresses)
    )  # fmt: skip
    if not right:
        reason = "has no addresses, public_key and serial as a registry has them"
        raise RegistryError(f"{_quoted(name)} {reason}. Correct the line, or remove it")
    return Entry(t.cast("int", serial), tuple(addresses), key)


def _is_address(text: str) -> bool:
    return any(number(text, family) is not None for family in range(len(FAMILIES)))


def _quoted(name: str) -> str:
    return name if printable(name) else ascii(name)
