# SPDX-License-Identifier: MIT
"""The state of a host, to be compared with what it was at another time. It runs on the host itself, as root.

Prints one JSON object: what it looked at -> name -> what it found. It judges nothing. What differs between any two
looks at a host, such as a number in a name, it leaves out; the rest is for the comparison to allow or not.
"""

from __future__ import annotations

import grp
import hashlib
import json
import os
import pwd
import re
import stat
import subprocess
import sys
import time
import typing as t

Found = t.Dict[str, str]  # noqa: UP006 - evaluated, also by Python 3.9

KERNEL = {"/dev", "/proc", "/run", "/sys"}
# The distribution's own files, of which the size will do.
LARGE = re.compile(r"/usr/(?!local/)")
# systemd names the private directories of a service by the boot and by chance; link-local addresses are chance too.
CHANCE = (
    (re.compile(r"(systemd-private-)[0-9a-f]{32}-(.+)-\w{6}"), r"\1\2"),
    (re.compile(r"fe80::[0-9a-f:]+"), "fe80::"),
)
COMMANDS = {
    "rules": "ip -oneline rule",
    "rules of IPv6": "ip -6 -oneline rule",
    "routes": "ip route show table all",
    "routes of IPv6": "ip -6 route show table all",
    "units": "systemctl list-unit-files --no-legend --no-pager --state=enabled,disabled,static,masked,generated,alias",
    "failed units": "systemctl list-units --failed --plain --no-legend",
    "packages": "dpkg-query --show",
}


def main() -> None:
    settle()
    state = {what: lines(command) for what, command in COMMANDS.items()}
    state |= {"files": files(), "sysctls": sysctls(), "sockets": sockets()}
    state["run"] = dict.fromkeys(os.listdir("/run"), "")
    state["links"] = dict.fromkeys(os.listdir("/sys/class/net"), "")
    state["users"] = {each.pw_name: repr(tuple(each)) for each in pwd.getpwall()}
    state["groups"] = {each.gr_name: repr(tuple(each)) for each in grp.getgrall()}
    json.dump(state, sys.stdout)


def settle() -> None:
    """Wait until the kernel has tried its link-local addresses: their routes come some seconds after a link does."""
    until = time.monotonic() + 10
    while output("ip -6 -oneline address show tentative") and time.monotonic() < until:
        time.sleep(0.2)


def files() -> Found:
    """Every path with its type, mode, owner, group and content."""
    found = {}
    for directory, names, others in os.walk("/"):
        names[:] = [name for name in names if os.path.join(directory, name) not in KERNEL]
        for name in [*names, *others]:
            path = os.path.join(directory, name)
            found[steady(path)] = file(path)
    return found


def file(path: str) -> str:
    try:
        status = os.lstat(path)
        said = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"
        if stat.S_ISLNK(status.st_mode):
            return f"{said} -> {os.readlink(path)}"
        if stat.S_ISREG(status.st_mode) and not LARGE.match(path):
            with open(path, "rb") as stream:
                return f"{said} {hashlib.sha256(stream.read()).hexdigest()}"
        return f"{said} {status.st_size}" if stat.S_ISREG(status.st_mode) else said
    except FileNotFoundError:
        return "gone while it was looked at"


def sysctls() -> Found:
    """All settings below /proc/sys that can be read and written; the others are what the kernel says."""
    found = {}
    for directory, _names, others in os.walk("/proc/sys"):
        for name in others:
            path = os.path.join(directory, name)
            try:
                if os.stat(path).st_mode & stat.S_IWUSR:
                    with open(path, encoding="utf-8", errors="replace") as stream:
                        found[path[len("/proc/sys/") :]] = " ".join(stream.read().split())
            except OSError:
                continue  # some can only be written
    return found


def sockets() -> Found:
    """Every listening socket by its protocol and address, with the names of the programs that hold it."""
    found = {}
    for protocol in ("tcp", "udp"):
        for line in output(f"ss --{protocol} --listening --numeric --no-header --processes").splitlines():
            words = line.split()
            found[f"{protocol} {words[3]}"] = ", ".join(words[5].split('"')[1::2]) if len(words) > 5 else ""
    return found


def lines(command: str) -> Found:
    return {steady(" ".join(line.split())): "" for line in output(command).splitlines()}


def output(command: str) -> str:
    return subprocess.run(command.split(), check=True, capture_output=True, text=True, timeout=20).stdout


def steady(name: str) -> str:
    """The name without what is chance in it."""
    for pattern, replacement in CHANCE:
        name = pattern.sub(replacement, name)
    return name


if __name__ == "__main__":
    main()
