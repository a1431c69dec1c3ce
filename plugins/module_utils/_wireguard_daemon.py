# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""The arguments of ``wireguard_interface``, and the daemon that they describe. Used on the host and on the controller.

The interface is a daemon like others, with its program, files and units; a new content of its files reaches it by a
reload, which the agent carries out. So what ``daemon`` promises of kills, failures and trials holds here too.
"""

from __future__ import annotations

import hashlib
import json
import os
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._daemon import Daemon
from ansible_collections.wonder.mesh.plugins.module_utils._files import Directory, File
from ansible_collections.wonder.mesh.plugins.module_utils._wanted import INSTALL, UNITS
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_place import ETC, LIBRARY, Place
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_wanted import Wanted

PROGRAM = "wireguard-go"
NAME = r"[a-z][a-z0-9_]{0,14}"  # of an interface; it is in the names of units and of a table of nftables
ARGUMENTS: dict[str, t.Any] = {
    "name": {"type": "str", "default": "wm0"},
    "state": {"type": "str", "choices": ["absent", "started"], "default": "started"},
    "table": {"type": "dict"},
    "rules": {"type": "dict", "default": {}},
    "names": {"type": "dict", "default": {}},
    "registry": {"type": "str", "default": ""},
    "regenerate": {"type": "bool", "default": False},
    "at": {"type": "float", "default": 0.0},
    "implementation": {"type": "str", "choices": ["auto", "kernel", "userspace"], "default": "auto"},
    "confirm": {"type": "bool", "default": True},
    "remove_data": {"type": "bool", "default": False},
    "version": {"type": "str", "default": ""},
    "program_source": {"type": "dict", "default": {}},
    "preshared_keys": {"type": "dict", "default": {}, "no_log": True},
    "secret_file": {"type": "str", "default": "", "no_log": False},
    "preshared_sha256": {"type": "str", "default": ""},
    "agent_sha256": {"type": "str", "default": ""},
    "binaries": {"type": "dict", "default": {}},
    "uploads": {"type": "dict", "default": {}},
    "trial": {"type": "str", "default": ""},
}
HARDENED = """\
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateMounts=yes
PrivateIPC=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
KeyringMode=private
SystemCallArchitectures=native
UMask=0077
DevicePolicy=closed
"""
UNIT = """\
# Written by wonder.mesh.wireguard_interface. Edits are lost at its next run.
[Unit]
Description=WireGuard interface {name}
Documentation=https://www.wireguard.com/
After=network-online.target nftables.service
Wants=network-online.target {watch}
# Its rules are flushed with all others when those of the host are read anew.
ReloadPropagatedFrom=nftables.service

[Service]
{service}ExecReload={agent} apply {name}
ExecStopPost={agent} down {name}
RuntimeDirectory=wireguard-{name}
RuntimeDirectoryMode=0700
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_BIND_SERVICE
SystemCallFilter=@system-service
{hardened}
[Install]
WantedBy=multi-user.target
"""
HOOK = """\
# Written by wonder.mesh.wireguard_interface. Edits are lost at its next run.
# Who stops this unit flushes all rules, also those that keep the mesh out: they are put back.
[Service]
ExecStartPost=-/bin/systemctl --no-block try-reload-or-restart {unit}
ExecStopPost=-/bin/systemctl --no-block try-reload-or-restart {unit}
"""
USERSPACE = """\
Type=exec
Environment=WG_PROCESS_FOREGROUND=1 LOG_LEVEL=error
ExecStartPre=+/bin/mkdir -p -m 0755 /run/wireguard
ExecStart={program} {name}
ExecStartPost={agent} start {name}
Restart=always
RestartSec=1
ReadWritePaths=-/run/wireguard
DeviceAllow=/dev/net/tun rw
"""
KERNEL = """\
Type=oneshot
RemainAfterExit=yes
ExecStart={agent} up {name}
PrivateDevices=yes
"""
WATCH = """\
# Written by wonder.mesh.wireguard_interface. Edits are lost at its next run.
[Unit]
Description=Watch over the WireGuard interface {name}
Documentation=https://www.wireguard.com/
BindsTo={unit}
After={unit}
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={agent} watch {name}
Restart=always
RestartSec=1
ReadWritePaths=/run/wireguard-{name}
CapabilityBoundingSet={capabilities}
PrivateDevices=yes
{private}ProtectKernelTunables=yes
ProcSubset=pid
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
MemoryMax=128M
TasksMax=40
{hardened}"""


def described(params: t.Mapping[str, t.Any], machine: str, userspace: bool) -> Daemon:
    """The daemon of these arguments, on a host of this architecture, whose kernel has WireGuard or not."""
    place = Place(params["name"])
    absent = params["state"] == "absent"
    return Daemon(
        name=f"wireguard-{place.name}",
        state=params["state"],
        user="",
        home="",
        units=(place.unit, place.watch_unit),
        directories=(
            Directory(ETC, 0o755, "root", "root"),
            Directory(place.directory, 0o700, "root", "root"),
            Directory(LIBRARY, 0o755, "root", "root"),
            Directory(os.path.dirname(_hook(place)), 0o755, "root", "root"),
        ),
        files=tuple(_removed_files(place) if absent else _files(params, place, machine, userspace)),
    )


def wanted_of(params: t.Mapping[str, t.Any]) -> Wanted:
    return Wanted(params["table"], params["rules"], params["names"])


def _files(params: t.Mapping[str, t.Any], place: Place, machine: str, userspace: bool) -> t.Iterator[File]:
    for path, text in _units(place, userspace).items():
        yield _text_file(path, text, 0o644, "restart")
    yield _text_file(_hook(place), HOOK.format(unit=place.unit), 0o644, "none")
    if userspace:
        for each in params["binaries"].get(machine, []):
            path = os.path.join(INSTALL, each["name"])
            yield File(path, 0o755, "root", "root", each["sha256"], label=each["label"])
    yield File(place.agent, 0o644, "root", "root", params["agent_sha256"], effect="reload", label="the agent")
    yield _text_file(place.wanted, wanted_of(params).dumps(), 0o600, "reload")
    if params["preshared_sha256"]:
        keys = preshared_text(params["preshared_keys"]) if params["preshared_keys"] else None
        digest = params["preshared_sha256"]
        yield File(place.preshared, 0o600, "root", "root", digest, keys, secret=True, effect="reload")
    if params["registry"]:
        yield _text_file(place.registry, params["registry"], 0o644, "none")


def preshared_text(keys: t.Mapping[str, str]) -> bytes:
    """The file with the pre-shared keys, by the names of peers."""
    return json.dumps(dict(keys), sort_keys=True).encode()


def _removed_files(place: Place) -> t.Iterator[File]:
    for path in [*_units(place, True), _hook(place), place.agent, place.wanted, place.preshared]:
        yield _text_file(path, "", 0o600, "restart")


def _text_file(path: str, text: str, mode: int, effect: str) -> File:
    content = text.encode()
    return File(path, mode, "root", "root", hashlib.sha256(content).hexdigest(), content, effect=effect)


def _hook(place: Place) -> str:
    return os.path.join(UNITS, "nftables.service.d", f"wonder-mesh-{place.name}.conf")


def _units(place: Place, userspace: bool) -> dict[str, str]:
    words = {
        "name": place.name,
        "unit": place.unit,
        "watch": place.watch_unit,
        "program": os.path.join(INSTALL, PROGRAM),
        "agent": f"/usr/bin/python3 -I -S {place.agent}",
        "hardened": HARDENED,
        # The socket of wireguard-go is root's; the kernel asks for a capability.
        "capabilities": "" if userspace else "CAP_NET_ADMIN",
        "private": "PrivateUsers=yes\n" if userspace else "",
    }
    service = (USERSPACE if userspace else KERNEL).format(**words)
    return {
        os.path.join(UNITS, place.unit): UNIT.format(service=service, **words),
        os.path.join(UNITS, place.watch_unit): WATCH.format(**words),
    }
