# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""The arguments of ``daemon``, and the wanted daemon that they describe. Used on the host and on the controller."""

from __future__ import annotations

import hashlib
import os
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._daemon import Daemon
from ansible_collections.wonder.mesh.plugins.module_utils._files import Directory, File

INSTALL = "/usr/local/bin"
UNITS = "/etc/systemd/system"

ARGUMENTS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["absent", "started", "stopped"], "default": "started"},
    "user": {"type": "str", "default": ""},
    "home": {"type": "path", "default": "/nonexistent"},
    "program": {"type": "str", "default": ""},
    "version": {"type": "str", "default": ""},
    "program_source": {"type": "dict", "default": {}},
    "directories": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "path", "required": True},
            "mode": {"type": "str", "default": "0755"},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
            "data": {"type": "bool", "default": False},
        },
    },
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "path", "required": True},
            "template": {"type": "str"},
            "content": {"type": "str"},
            "source": {"type": "str"},
            "sha256": {"type": "str"},
            "label": {"type": "str", "default": ""},
            "mode": {"type": "str", "default": "0644"},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
            "secret": {"type": "bool", "default": False, "no_log": False},
            "on_change": {"type": "str", "choices": ["none", "reload", "restart"], "default": "restart"},
            "judge": {"type": "str", "choices": ["", "derp_map", "derper_limits"], "default": ""},
        },
    },
    "units": {"type": "list", "elements": "str", "required": True},
    "check": {"type": "list", "elements": "str", "default": []},
    "ready": {
        "type": "dict",
        "default": {},
        "options": {
            "url": {"type": "str"},
            "socket": {"type": "path"},
            "port": {"type": "int"},
            "https": {"type": "str"},
            "timeout": {"type": "int", "default": 30},
        },
    },
    "remove_data": {"type": "bool", "default": False},
    "binaries": {"type": "dict", "default": {}},
    "uploads": {"type": "dict", "default": {}},
    "trial": {"type": "str", "default": ""},
}


def wanted(params: dict[str, t.Any], machine: str) -> Daemon:
    """The daemon that the module's parameters describe."""
    files = [_file(each) for each in params["files"]]
    for binary in params["binaries"].get(machine, []):
        path = os.path.join(INSTALL, binary["name"])
        files.append(File(path, 0o755, "root", "root", binary["sha256"], label=binary["label"]))
    return Daemon(
        name=params["name"],
        state=params["state"],
        user=params["user"],
        home=params["home"],
        units=tuple(params["units"]),
        directories=tuple(
            Directory(each["path"], int(each["mode"], 8), each["owner"], each["group"], each["data"])
            for each in params["directories"]
        ),
        files=tuple(files),
        check=tuple(params["check"]),
        ready=params["ready"],
    )


def _file(each: dict[str, t.Any]) -> File:
    content = None if each["content"] is None else each["content"].encode()
    digest = each["sha256"] if content is None else hashlib.sha256(content).hexdigest()
    return File(
        path=each["path"],
        mode=int(each["mode"], 8),
        owner=each["owner"],
        group=each["group"],
        sha256=digest,
        content=content,
        secret=each["secret"],
        effect=each["on_change"],
        label=each["label"],
        judge=each["judge"],
    )
