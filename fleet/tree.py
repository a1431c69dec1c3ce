# SPDX-License-Identifier: MIT
"""The base tree: a small Debian with systemd, sshd and a bare Python, made once and shared by all hosts of all fleets.

It holds nothing of any one fleet: no key, no name, no address. A host is an overlay on top of it.
"""

from __future__ import annotations

import hashlib
import json
import platform
import typing as t
from pathlib import Path

from fleet import FleetError, cache
from fleet.shell import follow, run

if t.TYPE_CHECKING:
    from collections.abc import Callable

SUITE = "bookworm"
PACKAGES = (
    "systemd,systemd-sysv,dbus,libpam-systemd,python3,iproute2,iputils-ping,procps,netbase,openssh-server,"
    "ca-certificates,sudo,curl,nftables"
)
PATIENCE = 1500.0  # seconds for debootstrap on a slow line
MASKED = [
    "systemd-udevd.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udev-trigger.service",
    "getty@.service",
    "console-getty.service",
    "getty.target",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "systemd-timesyncd.service",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "systemd-tmpfiles-clean.timer",
]
FILES = {
    "etc/ssh/sshd_config.d/fleet.conf": (
        "PermitRootLogin prohibit-password\nPasswordAuthentication no\nUseDNS no\n"
        "HostKey /etc/ssh/ssh_host_ed25519_key\nMaxStartups 100\nMaxSessions 100\n"
    ),
    "etc/sudoers.d/ops": "ops ALL=(ALL) NOPASSWD: ALL\n",
    "etc/machine-id": "",
    # The fleet has no resolver: its names stand in /etc/hosts.
    "etc/resolv.conf": "# no resolver: names are in /etc/hosts\n",
}
BUILD = """\
set -eu
debootstrap --variant=minbase --include="$2" "$3" "$1" "$4"
chroot "$1" useradd --create-home --shell /bin/bash --uid 1000 ops
chroot "$1" passwd --lock root >/dev/null
rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/hostname "$1"/etc/resolv.conf "$1"/var/cache/apt/archives/*.deb
rm -f "$1"/var/lib/apt/lists/*_* "$1"/var/lib/dbus/machine-id "$1"/var/log/bootstrap.log
ln -sf multi-user.target "$1"/lib/systemd/system/default.target
"""


def key() -> str:
    """What decides the tree's content, as a digest."""
    wanted = [SUITE, PACKAGES, MASKED, FILES, BUILD, platform.machine()]
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:16]


def ensure(progress: Callable[[str], None]) -> Path:
    """The base tree's directory; it is built when the cache has none (some minutes)."""
    return cache.entry(f"tree-{key()}", lambda partial: build(partial / "root", progress)) / "root"


def build(target: Path, progress: Callable[[str], None]) -> None:
    """Make the base tree in the new directory `target`."""
    where = debian()
    progress(f"Debian {SUITE} from {where}, once, 2 to 5 minutes")
    target.mkdir(mode=0o755)
    target.chmod(0o755)  # the mode of each host's /
    script = ["sh", "-c", BUILD, "sh", str(target), PACKAGES, SUITE, where]
    follow(*script, progress=lambda line: progress(line.removeprefix("I: ")), timeout=PATIENCE)
    for name, text in FILES.items():
        path = target / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o440 if "sudoers" in name else 0o644)
    for unit in MASKED:
        (target / "etc/systemd/system" / unit).symlink_to("/dev/null")


def debian() -> str:
    """The mirror that this machine uses of Debian."""
    wanted = "$(CREATED_BY)|$(RELEASE)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)"
    return mirror(run("apt-get", "indextargets", "--format", wanted).stdout)


def mirror(targets: str, suite: str = SUITE) -> str:
    """The mirror of `suite` that the machine's apt uses, from lines `KIND|RELEASE|CODENAME|COMPONENT|URI`.

    apt itself has read its configuration, one-line and deb822 alike, and knows the codename behind `stable` (once it
    has lists). A list of mirrors (`mirror+file:`, as on cloud images) stands for its first entry.
    """
    for line in targets.splitlines():
        fields = line.split("|")
        if len(fields) != 5 or fields[0] != "Packages" or fields[3] != "main" or suite not in fields[1:3]:
            continue
        uri = fields[4]
        if uri.startswith("mirror+file:"):
            listed = Path(uri.removeprefix("mirror+file:").rstrip("/")).read_text(encoding="utf-8").split()
            uri = next((each for each in listed if each.startswith("http")), "")
        if uri.startswith(("http://", "https://", "file:/")):
            return uri.rstrip("/") + "/"
    raise FleetError(
        f"the apt configuration of this machine has no http, https or file source of Debian {suite} main, which the "
        f"base tree of the fleet is made from; add one to /etc/apt/sources.list.d and run apt-get update"
    )
