# SPDX-License-Identifier: MIT
"""Plays in which secrets are made, sent and used: such as succeed, and failures wherever one is at hand."""

from __future__ import annotations

import dataclasses
import shlex

NODE, COORDINATOR = "box-1", "vps"
JOIN = ("--limit", NODE, "--tags", "tailscaled")
CONTROL = ("--limit", COORDINATOR, "--tags", "headscale")
FRONT = ("--limit", COORDINATOR, "--tags", "caddy")
# An inventory beside the fleet's own, with secrets of all kinds that a homelab may have.
HOMELAB = ("--inventory", "HOMELAB")
ALL = ("--limit", "all")
SELF_MADE = '{"derper_certificate": {}, "derper_hostname": "203.0.113.99"}'
LEAVE = f"{NODE}: timeout 20 tailscale logout"
# Kills the module, and the command that it waits for, as soon as that has the key.
KILL = """for each in $(seq 2000); do
    found=$(pgrep -o -f 'auth-ke[y]=file:') && { kill -KILL $(ps -o ppid= -p $found) $found; break; }; sleep 0.02
done"""
FULL = """mount -t tmpfs -o size=64k,mode=0750,gid=$(getent group caddy | cut -d: -f3) full /etc/caddy/certificates
dd if=/dev/zero of=/etc/caddy/certificates/full bs=1k status=none 2>/dev/null || true"""


def no_start(unit: str) -> tuple[str, str]:
    """What keeps a unit of the coordinator from starting, and what takes that back."""
    place = f"/etc/systemd/system/{unit}.service.d"
    reload = "systemctl daemon-reload"
    broken = f"mkdir {place} && printf '[Service]\\nExecStartPre=/bin/false\\n' >{place}/no.conf && {reload}"
    return f"{COORDINATOR}: {broken}", f"{COORDINATOR}: rm -r {place} && {reload}"


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
        (no_start("headscale")[0],),
        (*CONTROL, "--extra-vars", "headscale_log_level=debug"),
        after=(no_start("headscale")[1],),
        mend=CONTROL,
    ),
    Story("a relay, a login, names by DNS and passwords", (), HOMELAB, succeeds=True, mend=ALL),
    Story(
        "a relay that does not come up",
        (no_start("derper")[0],),
        (*HOMELAB, "--extra-vars", SELF_MADE),
        after=(no_start("derper")[1],),
        mend=ALL,
    ),
    Story(
        "a login whose Headscale does not come up",
        (no_start("headscale")[0],),
        (*HOMELAB, *CONTROL),
        after=(no_start("headscale")[1],),
        mend=CONTROL,
    ),
    Story(
        "passwords and a key for DNS on a disk that is full",
        (f"{COORDINATOR}: {FULL}",),
        (*HOMELAB, *FRONT),
        after=(f"{COORDINATOR}: umount /etc/caddy/certificates",),
        mend=FRONT,
    ),
]
