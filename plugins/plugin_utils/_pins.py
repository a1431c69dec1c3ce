# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The checks of what the inventory says about programs: their versions, and where they come from."""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._supply import Mistake, mistakes
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import several

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems

# The variables that name a program's version, and which program's.
VERSIONS = {
    "caddy_version": "caddy",
    "derper_version": "derper",
    "headscale_version": "headscale",
    "tailscaled_version": "tailscale",
    "wireguard_version": "wireguard-go",
}
# The variables that say where a program comes from instead of a build.
PROGRAM_SOURCES = {
    "caddy_program_source": "caddy",
    "derper_program_source": "derper",
    "headscale_program_source": "headscale",
    "tailscaled_program_source": "tailscale",
    "wireguard_program_source": "wireguard-go",
}


def check_versions(inventory: Inventory, pinned: Callable[[str], str], problems: Problems) -> None:
    """A program has one version, the one that is pinned: with another, a role would fail half-way."""
    for host in inventory.members():
        for variable, program in VERSIONS.items():
            value = inventory.get(host, variable, problems)
            if value in (None, ""):
                continue
            version = pinned(program)
            if str(value).removeprefix("v") != version:
                reason = f"programs/{program} pins {version}"
                problems.add(host, variable, value, reason, f"Set it to {version}, or remove it")


def check_program_sources(
    inventory: Inventory,
    binaries: Callable[[str], Collection[str]],
    read_file: Callable[[str], bytes],
    problems: Problems,
) -> None:
    """A file must be there with its sha256; a URL is fetched later, when a host is found to need it."""
    hashes: dict[str, str] = {}
    found: dict[tuple[str, str], tuple[Mistake, list[str]]] = {}
    for host in inventory.members():
        for variable, program in PROGRAM_SOURCES.items():
            value = inventory.get(host, variable, problems)
            if value in (None, {}):
                continue
            wrong = list(mistakes(value, binaries(program))) or list(_wrong_files(value, hashes, read_file))
            for mistake in wrong:
                found.setdefault((variable, repr(mistake)), (mistake, []))[1].append(host)
    for (variable, _), (mistake, hosts) in found.items():
        problems.add(several(hosts), f"{variable}{mistake.where}", mistake.found, mistake.reason, mistake.fix)


def _wrong_files(
    value: dict[str, dict[str, dict[str, str]]], hashes: dict[str, str], read_file: Callable[[str], bytes]
) -> Iterator[Mistake]:
    """``hashes`` keeps what has been read, for the next host."""
    for arch, sources in value.items():
        for name, source in sources.items():
            path = source.get("file", "")
            if not path:
                continue
            try:
                if path not in hashes:
                    hashes[path] = hashlib.sha256(read_file(path)).hexdigest()
            except OSError as exc:
                reason = f"the file cannot be read: {exc.strerror or exc}"
                yield Mistake(f".{arch}.{name}.file", path, reason, "Name a file that is on the controller")
                continue
            if hashes[path] != source["sha256"].lower():
                reason = f"{path} has the sha256 {hashes[path]}"
                fix = "Get the right file, or set the sha256 that its publisher names"
                yield Mistake(f".{arch}.{name}.sha256", source["sha256"], reason, fix)
