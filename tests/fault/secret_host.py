# SPDX-License-Identifier: MIT
"""Runs on a host of the fleet, with the standard library: tells its secrets, or where the secrets that it is told lie.

Verbs, by the first line of stdin: ``collect`` prints the host's secrets as JSON; ``watch`` prints each join key that
lies in one of Ansible's temporary directories, until stdin ends; ``sweep`` reads patterns (base64, one a line) and
prints the places that hold one of them: files that others can read, whatever was left in temporary directories, logs,
and the journal.
"""

from __future__ import annotations

import base64
import glob
import json
import os
import re
import select
import stat
import subprocess
import sys
import typing as t

KEPT = (
    "/var/lib/headscale/*.key",
    "/etc/headscale/oidc_secret",
    "/etc/caddy/certificates/*.key",
    "/var/lib/caddy/**/*.key",  # of its own authority
    "/var/lib/caddy/.local/**/*.key",
    "/etc/derper/*.key",
    "/etc/derper/*.pem",
    "/var/lib/derper/*.key",
)
KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----\n?", re.DOTALL)
ANSIBLE = os.path.expanduser("~/.ansible")
JOIN_KEYS = os.path.join(ANSIBLE, "tmp", "*", "join-key")
# Whoever may read them, nothing secret belongs here.
NOWHERE = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/var/log", ANSIBLE)  # noqa: S108
NOT_FILES = ("/proc", "/sys", "/dev", "/usr/local/bin")  # the last holds programs, which test_check_mode.py hashes
GIVEN = "/run/credentials"  # where systemd gives a unit what it loads; others must not read it there either
LARGEST = 64 << 20


def collect() -> list[str]:
    found = [secret for pattern in KEPT for text in _texts(pattern) for secret in _secrets(text)]
    found += [json.loads(text)["key"] for text in _texts("/var/lib/wonder-mesh/headscale/api_key.json")]
    for text in _texts("/var/lib/tailscale/tailscaled.state"):
        values = [base64.b64decode(value).decode("utf-8", "replace") for value in json.loads(text).values()]
        found += [word for value in values for word in value.split('"') if "priv" in word and ":" in word]
    return [each for each in found if set(each.rpartition(":")[2]) != {"0"}]  # the old key of one that had none


def _secrets(text: str) -> list[str]:
    """Of a file with certificates, which are no secrets, its keys."""
    return KEY.findall(text) if "-----BEGIN" in text else [text]


def _texts(pattern: str) -> t.Iterator[str]:
    for path in filter(os.path.isfile, glob.glob(pattern, recursive=True)):
        with open(path, encoding="utf-8") as stream:
            yield stream.read()


def watch() -> t.Iterator[str]:
    seen = set()
    while not select.select([sys.stdin], [], [], 0.01)[0]:
        for path in glob.glob(JOIN_KEYS):
            try:
                with open(path, encoding="ascii") as stream:
                    key = stream.read()
            except OSError:
                continue  # it is gone again
            if key and key not in seen:
                seen.add(key)
                yield key


def sweep(patterns: list[bytes]) -> list[str]:
    made = os.lstat("/etc/hostname").st_ctime  # what is older came with the base system, before there was any secret
    wanted = {*_files(NOWHERE, False, 0), *_files(("/",), True, made)}
    found = [path for path in sorted(wanted) if _holds(path, patterns)]
    journal = subprocess.run(["journalctl", "--no-pager", "--output=export"], capture_output=True, check=False).stdout
    return found + (["the journal"] if any(each in journal for each in patterns) else [])


def _files(places: tuple[str, ...], readable: bool, since: float) -> t.Iterator[str]:
    """Regular files below that have changed since then; of readable ones only those that others come to and read."""
    for place in places:
        for directory, names, leaves in os.walk(place):
            skipped = NOT_FILES if readable else (*NOT_FILES, GIVEN)
            names[:] = [name for name in names if os.path.join(directory, name) not in skipped]
            if readable and not os.stat(directory).st_mode & stat.S_IXOTH:
                names.clear()
                continue
            for path in (os.path.join(directory, leaf) for leaf in leaves):
                status = os.lstat(path)
                chosen = stat.S_ISREG(status.st_mode) and status.st_ctime >= since
                if chosen and (not readable or status.st_mode & stat.S_IROTH):
                    yield path


def _holds(path: str, patterns: list[bytes]) -> bool:
    try:
        with open(path, "rb") as stream:
            content = stream.read(LARGEST)
    except OSError:
        return False
    return any(each in content for each in patterns)


def main() -> None:
    verb = sys.stdin.readline().strip()
    if verb == "collect":
        print(json.dumps(collect()))
    elif verb == "watch":
        print("watching", flush=True)
        for key in watch():
            print(key, flush=True)
    else:
        print(json.dumps(sweep([base64.b64decode(line) for line in sys.stdin])))


main()
