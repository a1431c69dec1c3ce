# SPDX-License-Identifier: MIT
"""Runs on a host of the fleet, with the standard library: what a run leaves there, as data that can be compared."""

from __future__ import annotations

import base64
import contextlib
import glob
import grp
import hashlib
import json
import os
import pwd
import socket
import sqlite3
import subprocess
import time
import typing as t

import fingerprint
import judge
import tunnel

if t.TYPE_CHECKING:
    Seen = dict[str, t.Any]

REMEMBERED = "/var/lib/wonder-mesh/"
ACCOUNTS = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow")
STATE = ("ActiveState=", "SubState=", "UnitFileState=", "NeedDaemonReload=")
DATABASE = "/var/lib/headscale/db.sqlite"
ROWS = {
    "users": "SELECT name FROM users ORDER BY id",
    "keys": "SELECT prefix FROM api_keys ORDER BY id",
    "migrations": "SELECT id FROM migrations ORDER BY id",
    "nodes": "SELECT machine_key, node_key, given_name, ipv4 FROM nodes WHERE deleted_at IS NULL ORDER BY id",
    "tags of vps": "SELECT tags, approved_routes FROM nodes WHERE deleted_at IS NULL AND given_name = 'vps'",
    "policy": "SELECT data FROM policies WHERE deleted_at IS NULL ORDER BY id DESC LIMIT 1",
}
WIREGUARD_KEYS = (f"{tunnel.PLACE}/{tunnel.NAME}.key", "/etc/kills.key")
KEYS = ("/var/lib/headscale/noise_private.key", "/var/lib/headscale/derp_server_private.key", *WIREGUARD_KEYS)
TRANSIENT = ("run-*.service", "run-*.timer", "wonder-mesh*")
PATIENCE = 10  # seconds that systemd may take to drop a unit that has ended

_hashes: dict[tuple[t.Any, ...], str] = {}


def host(job: t.Mapping[str, t.Any], settled: bool) -> Seen:
    """Files, units, mounts and whether one may log in. With ``settled`` also what must be gone, which takes a moment,
    rows of Headscale's database, the preferences of a ``node``, and its ``tunnel``."""
    seen: Seen = {f"file {path}": _file(path) for path in _paths()}
    for unit in job["units"]:
        lines = fingerprint.said("systemctl", "show", "--property", fingerprint.PROPERTIES, unit).splitlines()
        seen[f"unit {unit}"] = [line for line in lines if line.startswith(STATE)]
    with open("/proc/self/mountinfo", encoding="utf-8") as stream:
        seen["mounts"] = sorted(line.split()[4] for line in stream)
    if settled:
        seen["transient units"] = transient()
    seen["ssh"] = answers(22)
    if job["reach"]:
        seen["mesh"] = "open" if tunnel.answers(job["reach"]) else "shut"
    if settled:
        seen |= {f"rows {name}": value for name, value in database(job["rows"]).items()}
    if settled and job["node"]:
        seen["preferences"] = _preferences()
    if settled and job["tunnel"]:
        seen |= {f"tunnel {name}": value for name, value in tunnel.interface().items()}
    return seen


def transient() -> list[str]:
    """Units that `systemd-run` made and that are still there after a while."""
    deadline = time.monotonic() + PATIENCE
    while True:
        listed = fingerprint.said("systemctl", "list-units", "--all", "--plain", "--no-legend", *TRANSIENT)
        found = sorted(line.split()[0] for line in listed.splitlines())
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def answers(port: int) -> str:
    """Whether somebody may log in: sshd says its name."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            return client.recv(4).decode()
    except OSError as exc:
        return str(exc)


def identity() -> Seen:
    """What must never be lost: keys, by their hashes, and what stands in Headscale's database."""
    found: Seen = {path: _hash(path) for path in (*KEYS, f"{REMEMBERED}headscale/api_key.json") if os.path.exists(path)}
    with contextlib.suppress(OSError, KeyError, TypeError, ValueError):
        with open("/var/lib/tailscale/tailscaled.state", encoding="utf-8") as stream:
            state = json.load(stream)
        found["machine key"] = _digest(state["_machinekey"])
        profile = json.loads(base64.b64decode(state[base64.b64decode(state["_current-profile"]).decode()]))
        if not profile.get("LoggedOut"):
            found["node key"] = _digest(profile["Config"]["PrivateNodeKey"])
    return found


def database(rows: t.Sequence[str]) -> Seen:
    """These rows, and whether the file is sound; nothing, where there is none."""
    if not os.path.exists(DATABASE):
        return {}
    found: Seen = {}
    with contextlib.closing(sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True, timeout=10)) as connection:
        if rows:
            found["sound"] = connection.execute("PRAGMA integrity_check").fetchall()
        for name in rows:
            found[name] = connection.execute(ROWS[name]).fetchall()
    return t.cast("Seen", json.loads(json.dumps(found)))


def _paths() -> list[str]:
    found = [path for place in fingerprint.PLACES for path in glob.glob(place)]
    for tree in fingerprint.TREES:
        for directory, names, leaves in os.walk(tree):
            found += [os.path.join(directory, name) for name in (*names, *leaves)]
    return sorted(path for path in set(found) if fingerprint.is_ours(path) and not judge.is_residue(path))


def _file(path: str) -> list[t.Any]:
    """Mode, owner, group and content; of what a run remembers, without what is another in each."""
    try:
        status = os.lstat(path)
        about = [oct(status.st_mode), _user(status.st_uid), _group(status.st_gid)]
        if os.path.islink(path):
            return [*about, os.readlink(path)]
        if not os.path.isfile(path):
            return about
        if path in ACCOUNTS:
            return [*about, _accounts(path)]
        if path in WIREGUARD_KEYS:
            return [*about, "a key"]  # see identity()
        if path.startswith(REMEMBERED):
            return [*about, _memory(path)]
        return [*about, _hash(path)]
    except FileNotFoundError:
        return []


def _accounts(path: str) -> list[str]:
    """Who is there. Numbers and order tell who came first."""
    with open(path, encoding="utf-8") as stream:
        return sorted(line.partition(":")[0] for line in stream)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _memory(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as stream:
        content = stream.read()
    if path.endswith("api_key.json"):
        return "a key"  # see identity()
    with contextlib.suppress(ValueError):
        kept = json.loads(content)
        kept.pop("transaction", None)
        return json.dumps(kept, sort_keys=True)
    return content


def _hash(path: str) -> str:
    """A file's hash; programs are large, and seldom another since the last look."""
    status = os.stat(path)
    name = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if name not in _hashes:
        with open(path, "rb") as stream:
            _hashes[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return _hashes[name]


def _digest(secret: t.Any) -> str:
    return hashlib.sha256(str(secret).encode()).hexdigest()


def _preferences() -> t.Any:
    prefs = fingerprint.preferences()
    for name in ("LoggedOut", "NodeID", "UserProfile"):
        prefs.pop(name, None)
    return prefs


def said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.stdout
