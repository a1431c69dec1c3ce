# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""What our inventory plugins share: they ask something for its machines and make hosts of what it says."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

if t.TYPE_CHECKING:
    from ansible.inventory.data import InventoryData
    from ansible.parsing.dataloader import DataLoader


class DiscoveryError(Exception):
    """What was found, what was expected and what to do, for the person who wrote the inventory file."""


class Found(t.NamedTuple):
    """One machine as a host: plain data, which a cache can keep."""

    name: str
    variables: dict[str, t.Any]
    groups: list[str]


class Discovery(BaseInventoryPlugin, Constructable, Cacheable):
    """A plugin says in ENDINGS how its files are called, and in ``discover`` which hosts there are."""

    ENDINGS: tuple[str, ...] = ()

    def discover(self) -> list[Found]:
        """All hosts. Raises DiscoveryError."""
        raise NotImplementedError

    def verify_file(self, path: str) -> bool:
        """Whether the file is ours, by its name; what it says is for ``parse`` to judge."""
        return os.access(path, os.R_OK) and path.endswith(self.ENDINGS)

    def parse(self, inventory: InventoryData, loader: DataLoader, path: str, cache: bool = True) -> None:
        """Add the hosts, from the cache if there is one and it may be used."""
        super().parse(inventory, loader, path, cache)
        config = self._read_config_data(path)
        unknown = sorted(set(config) - {"plugin"} - set(self.option_definitions))
        try:
            if unknown:
                known = ", ".join(sorted(self.option_definitions))
                raise DiscoveryError(f"there is no option {unknown[0]!r}; known are {known}")
            for each in self._hosts(path, cache):
                self._add(inventory, each)
        except DiscoveryError as exc:
            raise AnsibleParserError(f"{path}: {exc}") from exc

    def relative(self, path: str) -> str:
        """A path that stands in the file, seen from the file's own directory."""
        return os.path.join(os.path.dirname(os.path.abspath(self._path)), os.path.expanduser(path))

    _path = ""

    def _hosts(self, path: str, cache: bool) -> list[Found]:
        self._path = path
        kept = self.get_option("cache")
        key = self.get_cache_key(path)
        if kept and cache:
            try:
                return [Found(*each) for each in self._cache[key]]
            except KeyError:
                pass  # there is none, or it is too old
        found = self.discover()
        if kept:
            self._cache[key] = [list(each) for each in found]
        return found

    def _add(self, inventory: InventoryData, each: Found) -> None:
        inventory.add_host(each.name)
        for name, value in each.variables.items():
            inventory.set_variable(each.name, name, value)
        for group in each.groups:
            inventory.add_host(each.name, inventory.add_group(self._sanitize_group_name(group)))
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), each.variables, each.name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), each.variables, each.name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), each.variables, each.name, strict=strict)
