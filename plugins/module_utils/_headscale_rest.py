# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""What a Headscale that does not run will answer once it does, from its database. For check mode only.

The schema is that of 0.29 and Headscale's own business; a database that is not understood counts as an empty one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import typing as t

POLICY = "SELECT data FROM policies WHERE deleted_at IS NULL ORDER BY id DESC LIMIT 1"
NODES = (
    "SELECT id, hostname, given_name, node_key, tags, approved_routes, ipv4, ipv6, expiry "
    "FROM nodes WHERE deleted_at IS NULL"
)


def at_rest(database: str, path: str) -> dict[str, t.Any]:
    """The answer to ``GET /api/v1/node`` or ``/api/v1/policy``, with the fields that our modules read."""
    if path.endswith("/policy"):
        rows = _rows(database, POLICY)
        return {"policy": rows[0][0] or "" if rows else ""}
    with contextlib.suppress(TypeError, ValueError):
        return {"nodes": [_node(row) for row in _rows(database, NODES)]}
    return {"nodes": []}


def _node(row: t.Sequence[t.Any]) -> dict[str, t.Any]:
    number, hostname, name, key, tags, routes, ipv4, ipv6, expiry = row
    return {
        "id": str(number),
        "name": hostname,
        "givenName": name,
        "nodeKey": key,
        "tags": json.loads(tags or "null") or [],
        "approvedRoutes": json.loads(routes or "null") or [],
        "ipAddresses": [each for each in (ipv4, ipv6) if each],
        "online": False,
        "expiry": None if expiry is None else str(expiry).replace(" ", "T", 1),
    }


def _rows(database: str, query: str) -> list[t.Any]:
    """Ask a private copy: SQLite would write beside the original, as root, when its daemon was killed."""
    if not os.path.exists(database):
        return []
    try:
        import sqlite3
    except ImportError:  # Debian's python3-minimal
        return []
    with tempfile.TemporaryDirectory() as directory:  # 0700
        copy = os.path.join(directory, "db.sqlite")
        shutil.copyfile(database, copy)
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(database + "-wal", copy + "-wal")
        with contextlib.closing(sqlite3.connect(copy)) as connection, contextlib.suppress(sqlite3.Error):
            return connection.execute(query).fetchall()
    return []
