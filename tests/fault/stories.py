# SPDX-License-Identifier: MIT
"""Plays in which secrets are made, sent and used: such as succeed, and failures wherever one is at hand."""

from __future__ import annotations

import dataclasses
import shlex

NODE, COORDINATOR = "box-1", "vps"
JOIN = ("--limit", NODE, "--tags", "tailscaled")
CONTROL = ("--limit", COORDINATOR, "--tags", "headscale")
FRONT = ("--limit", COORDINATOR, "--tags", "caddy")
LEAVE = f"{NODE}: timeout 20 tailscale logout"
# Kills the module, and the command that it waits for, as soon as that has the key.
KILL = """for each in $(seq 2000); do
    found=$(pgrep -o -f 'auth-ke[y]=file:') && { kill -KILL $(ps -o ppid= -p $found) $found; break; }; sleep 0.02
done"""
FULL = """mount -t tmpfs -o size=64k,mode=0750,gid=$(getent group caddy | cut -d: -f3) full /etc/caddy/certificates
dd if=/dev/zero of=/etc/caddy/certificates/full bs=1k status=none 2>/dev/null || true"""
NO_START = "/etc/systemd/system/headscale.service.d"


@dataclasses.dataclass(frozen=True)
class Story:
    """What is done to hosts first ("host: script"), the play's arguments, how it ends, and what makes good again."""

    name: str
    before: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    succeeds: bool = False
    mints: bool = False
    by_runner: bool = False  # by ansible-runner, with the proof
    after: tuple[str, ...] = ()
    mend: tuple[str, ...] = ()  # arguments of the play that makes good


STORIES = [
    Story("a join by ansible-runner and the proof", (LEAVE,), succeeds=True, mints=True, by_runner=True),
    Story("a join", (LEAVE,), JOIN, succeeds=True, mints=True),
    Story(
        "a coordinator that is down",
        (LEAVE, f"{COORDINATOR}: systemctl stop headscale"),
        JOIN,
        after=(f"{COORDINATOR}: systemctl start headscale",),
        mend=JOIN,
    ),
    Story(
        "a node that does not find its coordinator",
        (LEAVE, f"{NODE}: cp /etc/hosts /run/hosts && sed -i /{COORDINATOR}.wm.test/d /etc/hosts"),
        JOIN,
        mints=True,
        after=(f"{NODE}: cp /run/hosts /etc/hosts && rm /run/hosts",),
        mend=JOIN,
    ),
    Story(
        "a module that is killed while it joins",
        (LEAVE, f"{NODE}: setsid bash -c {shlex.quote(KILL)} >/dev/null 2>&1 &"),
        JOIN,
        mints=True,
        mend=JOIN,
    ),
    Story(
        "a certificate that is none",
        (),
        (*FRONT, "--extra-vars", '{"caddy_certificates": [{"certificate": "/etc/hostname", "key": "KEY"}]}'),
    ),
    Story(
        "a disk that is full",
        (f"{COORDINATOR}: {FULL}",),
        FRONT,
        after=(f"{COORDINATOR}: umount /etc/caddy/certificates",),
        mend=FRONT,
    ),
    Story(
        "a policy that Headscale refuses",
        (),
        (
            *CONTROL,
            "--extra-vars",
            '{"headscale_policy": {"grants": [{"src": ["tag:nobody"], "dst": ["*"], "ip": ["*"]}]}}',
        ),
    ),
    Story("a configuration that the checker refuses", (), (*CONTROL, "--extra-vars", "headscale_prefix_v4=none")),
    Story(
        "a daemon that does not come up",
        (
            f"{COORDINATOR}: mkdir {NO_START} && printf '[Service]\\nExecStartPre=/bin/false\\n' >{NO_START}/no.conf"
            " && systemctl daemon-reload",
        ),
        (*CONTROL, "--extra-vars", "headscale_log_level=debug"),
        after=(f"{COORDINATOR}: rm -r {NO_START} && systemctl daemon-reload",),
        mend=CONTROL,
    ),
]
