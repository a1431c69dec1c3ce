# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""Firewalls of the host that drop what it is to forward. Of several tables, each may drop what all others let through.

Docker and ufw set such a policy, and so does many a hand-written configuration. Whether one of its rules lets the mesh
pass can only be guessed from whether it names the interface.
"""

from __future__ import annotations

import fnmatch
import re
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_run import Run

FORWARDS = re.compile(r"\s*type filter hook forward .*policy drop;")


def obstacles(name: str, run: Run) -> list[str]:
    """The chains, as `nft` names them, that drop what is forwarded and do not name the interface ``name``."""
    rc, out, _err = run(["nft", "list", "chains"], "")
    found = []
    for table, chain in _closed(out) if rc == 0 else ():
        _rc, rules, _err = run(["nft", "--stateless", "list", "table", *table.split()], "")
        if not any(fnmatch.fnmatchcase(name, each) for each in re.findall(r'"([^"]+)"', rules)):
            found.append(f"{table} {chain}")
    return found


def _closed(listed: str) -> Iterator[tuple[str, str]]:
    """Family and name of the table, and the chain, of each that forwards nothing by default."""
    table = chain = ""
    for line in listed.splitlines():
        words = line.split()
        if words[:1] == ["table"]:
            table = " ".join(words[1:3])
        elif words[:1] == ["chain"]:
            chain = words[1]
        elif FORWARDS.match(line):
            yield table, chain
