# SPDX-License-Identifier: MIT
"""Runs on a host of the fleet, with the standard library: what a run that changes nothing must leave, as JSON."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import stat
import subprocess
import typing as t

TREES = ("/etc", "/usr/local", "/var/lib/wonder-mesh", os.path.expanduser("~/.ansible/tmp"))
# Directories of data, which daemons fill; and what lies beside targets, in /run and in /tmp while a run is at work.
PLACES = ("/var/lib/headscale", "/var/lib/caddy", "/var/lib/tailscale", "/run/wonder-mesh*", "/tmp/ansible*")  # noqa: S108
# Daemons write these, whenever it suits them.
NOT_OURS = [r"/etc/resolv\.conf(\.[0-9a-f]+\.tmp)?", r"/etc/resolv\.pre-tailscale-backup\.conf"]
# Users that are made again come last; and the copies that useradd makes before it changes these files.
ACCOUNTS = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"]
NOT_OURS += [f"{path}-" for path in ACCOUNTS]
UNITS = ("headscale.service", "caddy.service", "tailscaled.service", "mesh-probe.socket")
PROPERTIES = "ActiveState,SubState,UnitFileState,NeedDaemonReload,MainPID,NRestarts,ActiveEnterTimestampMonotonic"
# What a node tells of itself, in its own time.
TOLD = ("name", "available_routes", "subnet_routes")
VOLATILE = ("last_seen", "online", "pre_auth_key", "created_at", "disco_key", *TOLD)


def look(path: str) -> list[t.Any]:
    """Mode, owner, group, when it was written, and a link's target or a file's hash."""
    status = os.lstat(path)
    content = ""
    if stat.S_ISLNK(status.st_mode):
        content = os.readlink(path)
    elif stat.S_ISREG(status.st_mode):
        with open(path, "rb") as stream:
            lines = sorted(stream) if path in ACCOUNTS else None
            digest = hashlib.file_digest(stream, "sha256") if lines is None else hashlib.sha256(b"".join(lines))
            content = digest.hexdigest()
    written = 0 if stat.S_ISDIR(status.st_mode) else status.st_mtime_ns
    return [oct(status.st_mode), status.st_uid, status.st_gid, written, content]


def is_ours(path: str) -> bool:
    return not any(re.fullmatch(each, path) for each in NOT_OURS)


def files() -> dict[str, list[t.Any]]:
    found = [path for place in PLACES for path in glob.glob(place)]
    for tree in TREES:
        for directory, names, leaves in os.walk(tree):
            found += [os.path.join(directory, name) for name in (*names, *leaves)]
    return {path: look(path) for path in sorted(found) if is_ours(path)}


def said(*command: str) -> str:
    """What a command says; nothing, where its daemon is down or it is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def preferences() -> t.Any:
    prefs = json.loads(said("tailscale", "debug", "prefs") or "{}")
    prefs.pop("Config", None)
    return prefs


def nodes() -> t.Any:
    found = json.loads(said("headscale", "nodes", "list", "--output", "json") or "[]") or []
    return [{key: value for key, value in node.items() if key not in VOLATILE} for node in found]


def main() -> None:
    units = {unit: said("systemctl", "show", "--property", PROPERTIES, unit).splitlines() for unit in UNITS}
    policy = said("headscale", "policy", "get")
    print(
        json.dumps(
            {"files": files(), "units": units, "preferences": preferences(), "policy": policy, "nodes": nodes()},
            sort_keys=True,
        )
    )


if __name__ == "__main__":
    main()
