# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""A daemon's system user, with a group of its own, made and removed so that a killed run can be completed.

``useradd`` and ``userdel`` write four lists, one after the other. Killed in between, they leave an account that is in
some of the lists only, and neither of them mends that.
"""

from __future__ import annotations

import grp
import os
import pwd
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.module_utils._systemd import RunCommand

LISTS = ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow")
MAKE = ("useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin")


class AccountError(Exception):
    """A user cannot be made or removed; the message holds the command's words."""


def user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def ensure_user(name: str, home: str, run_command: RunCommand) -> None:
    """Make the user, who is ours: a run of ours found none, and one that was killed may have begun to make it."""
    if user_exists(name):
        if not _lists(name, named=False):
            return
        remove_user(name, run_command)  # half-made
    own = ["--gid", name] if _has_group(name) else ["--user-group"]
    rc, _out, err = run_command([*MAKE, *own, "--home-dir", home, name])
    if rc != 0 and not user_exists(name):
        raise AccountError(f"the user {name} cannot be created: {err.strip()}")


def remove_user(name: str, run_command: RunCommand) -> None:
    """Remove the user, who is ours, from all lists. One that is gone, or half-gone, is no error."""
    rc, _out, err = run_command(["userdel", name])
    if rc != 0 and user_exists(name):
        raise AccountError(f"the user {name} cannot be removed: {err.strip()}")
    if _has_group(name) and not grp.getgrnam(name).gr_mem:
        run_command(["groupdel", name])
    if not _has_group(name) and _lists(name, named=True):
        # Only what nobody asks for is left, such as its line in /etc/shadow: userdel takes that from whole users.
        run_command([*MAKE, "--user-group", "--home-dir", "/nonexistent", name])
        run_command(["userdel", name])


def _has_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _lists(name: str, *, named: bool) -> list[str]:
    """Those of the lists, as far as the host has them, that have a line for the user, or that have none."""
    found = []
    for path in filter(os.path.exists, LISTS):
        with open(path, encoding="utf-8", errors="replace") as stream:
            if any(line.startswith(f"{name}:") for line in stream) == named:
                found.append(path)
    return found
