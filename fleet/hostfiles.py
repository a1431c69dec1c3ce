# SPDX-License-Identifier: MIT
"""What a fleet writes into a host before its first boot: names, keys, trust, and the page of a node that serves one."""

from __future__ import annotations

import hashlib
import os
import typing as t
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

if t.TYPE_CHECKING:
    from fleet.topology import Host, Topology

PAGE = Path(__file__).resolve().with_name("page.py")
PAGE_UNIT = """\
# The fleet's page of this node; no role knows it.
[Unit]
Description=Page that names this node

[Service]
ExecStart=/usr/bin/python3 -I /usr/local/lib/fleet/page.py {name} {address} {ports}
DynamicUser=yes
AmbientCapabilities=CAP_NET_BIND_SERVICE
Restart=on-failure

[Install]
WantedBy=multi-user.target
"""


class SshKey(t.NamedTuple):
    """An Ed25519 key as OpenSSH writes it."""

    private: str
    public: str


def ssh_key() -> SshKey:
    """A new key."""
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return SshKey(private.decode(), public.decode())


def write(
    root: Path, prefix: str, topology: Topology, host: Host, login: str, host_key: SshKey, authority: str
) -> None:
    """Write all files of `host` below `root`, its mounted overlay; `login` is the public key that may log in."""
    put(root / "etc/hostname", f"{host.name}\n")
    put(root / "etc/machine-id", hashlib.sha256(f"{prefix}-{host.name}".encode()).hexdigest()[:32] + "\n", 0o444)
    put(root / "etc/hosts", names(topology, host))
    put(root / "etc/ssh/ssh_host_ed25519_key", host_key.private, 0o600)
    put(root / "etc/ssh/ssh_host_ed25519_key.pub", host_key.public + "\n")
    put(root / "usr/local/share/ca-certificates/fleet.crt", authority)
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    put(bundle, bundle.read_text(encoding="ascii") + authority)
    for home, owner in (("root", 0), ("home/ops", 1000)):
        _authorize(root / home / ".ssh", login, owner)
    if host.services:
        page(root, host)


def names(topology: Topology, host: Host) -> str:
    """The /etc/hosts of a host: the public names, and each service's name at every gateway."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback", f"127.0.1.1 {host.name}"]
    lines += [f"{each.address} {topology.public_name(each)}" for each in topology.hosts if not each.home]
    for service in topology.service_names():
        lines += [f"{gateway.address} {service}" for gateway in topology.in_group("gateways")]
    return "\n".join(lines) + "\n"


def _authorize(directory: Path, login: str, owner: int) -> None:
    directory.mkdir(mode=0o700, exist_ok=True)
    put(directory / "authorized_keys", login + "\n", 0o600)
    for path in (directory, directory / "authorized_keys"):
        os.chown(path, owner, owner)


def page(root: Path, host: Host) -> None:
    """Write the page of a node that serves one, and the unit that serves it."""
    address = "0.0.0.0" if host.tun else "127.0.0.1"  # noqa: S104 (userspace nodes are reached through their loopback)
    ports = " ".join(f"{service.get('protocol', 'http')}:{service['port']}" for service in host.services)
    put(root / "usr/local/lib/fleet/page.py", PAGE.read_text(encoding="utf-8"))
    put(root / "etc/systemd/system/page.service", PAGE_UNIT.format(name=host.name, address=address, ports=ports))
    wanted = root / "etc/systemd/system/multi-user.target.wants/page.service"
    wanted.parent.mkdir(exist_ok=True)
    wanted.unlink(missing_ok=True)
    wanted.symlink_to("/etc/systemd/system/page.service")


def put(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file, whole and with its mode from the first moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
