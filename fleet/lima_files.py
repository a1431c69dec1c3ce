# SPDX-License-Identifier: MIT
"""What a fleet writes into a virtual machine, over SSH: names, trust, and the page of a node that serves one."""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
import typing as t
from pathlib import Path

from fleet import FleetError, hostfiles
from fleet.shell import run

if t.TYPE_CHECKING:
    from fleet.state import State
    from fleet.topology import Host, Topology

SECONDS = 300.0  # for one machine, of which several boot at once
UNPACK = "sudo tar --extract --directory=/ --no-same-owner --no-overwrite-dir"
SETTLE = "sudo hostnamectl hostname {name} && sudo update-ca-certificates && sudo systemctl daemon-reload"


def send(topology: Topology, state: State, host: Host, authority: str) -> None:
    """Write the files of one host, and have them take effect."""
    ssh = ["ssh", "-F", str(state.ssh_config), host.name]
    # There, so that it goes with the fleet when this is killed.
    with tempfile.TemporaryDirectory(dir=state.path) as folder, tempfile.TemporaryFile() as archive:
        _lay_out(Path(folder), topology, host, authority)
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for child in Path(folder).iterdir():
                tar.add(child, arcname=child.name)
        archive.seek(0)
        done = subprocess.run(
            [*ssh, UNPACK], stdin=archive, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    if done.returncode:
        raise FleetError(f"the host {host.name} does not take its files: {done.stderr.strip()}")
    settle = SETTLE.format(name=host.name) + (" && sudo systemctl restart page" if host.services else "")
    run(*ssh, settle, timeout=SECONDS)


def _lay_out(root: Path, topology: Topology, host: Host, authority: str) -> None:
    root.chmod(0o755)
    hostfiles.put(root / "etc/hosts", hostfiles.names(topology, host))
    hostfiles.put(root / "usr/local/share/ca-certificates/fleet.crt", authority)
    if host.services:
        hostfiles.page(root, host)
