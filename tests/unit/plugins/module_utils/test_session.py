# SPDX-License-Identifier: MIT
"""Whether an SSH session comes through a daemon of the host, on a small /proc."""

from __future__ import annotations

import os
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils._session import comes_through

if t.TYPE_CHECKING:
    from pathlib import Path

UNITS = ["tailscaled.service"]
HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
# The daemon has two sockets; one is a connection from port 41812 to port 22 of loopback.
CONNECTIONS = HEADER + (
    "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 70 1\n"
    "   1: 0100007F:A354 0100007F:0016 01 00000000:00000000 00:00000000 00000000   999        0 77 1\n"
)


class Proc:
    """A host with one process of tailscaled, whose TUN device is ``lo``: the one interface that every host has."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "net").mkdir(parents=True)
        (root / "net" / "tcp").write_text(CONNECTIONS)
        (root / "net" / "if_inet6").write_text("fd7a115ca1e000000000000000000004 01 80 10 80 lo\n")
        self.daemon = self.process(372, 1, group="/system.slice/tailscaled.service")
        self.hold("11", "socket:[77]")
        self.hold("12", "/dev/net/tun", "pos:\t0\niff:\tlo\n")

    def process(self, pid: int, parent: int, connection: str = "", group: str = "/user.slice") -> Path:
        place = self.root / str(pid)
        (place / "fd").mkdir(parents=True)
        (place / "fdinfo").mkdir()
        (place / "stat").write_text(f"{pid} (a (strange) name) S {parent} 1 1")
        (place / "environ").write_bytes(b"PATH=/bin\0" + (f"SSH_CONNECTION={connection}\0".encode() * bool(connection)))
        (place / "cgroup").write_text(f"4:memory:/\n0::{group}\n")
        return place

    def hold(self, descriptor: str, target: str, said: str = "") -> None:
        (self.daemon / "fd" / descriptor).symlink_to(target)
        (self.daemon / "fdinfo" / descriptor).write_text(said)

    def session(self, connection: str) -> bool:
        """Whether a session comes through the daemon that sshd's child knows, and sudo kept from us."""
        self.process(os.getpid(), 51)
        self.process(51, 50)
        self.process(50, 1, connection)
        return comes_through(UNITS, str(self.root))


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path / "proc")


@pytest.mark.parametrize("address", ["127.0.0.1", "fd7a:115c:a1e0::4"])
def test_a_session_to_an_address_of_its_tun_device_does(proc: Proc, address: str) -> None:
    assert proc.session(f"100.64.0.1 50000 {address} 22")


def test_a_session_that_it_takes_and_hands_to_loopback_does(proc: Proc) -> None:
    (proc.daemon / "fd" / "12").unlink()
    assert proc.session("127.0.0.1 41812 127.0.0.1 22")


@pytest.mark.parametrize(
    "connection",
    ["192.168.1.7 41812 192.168.1.11 2222", "100.64.0.1 50000 100.64.0.2 22", "fd7a::1 50000 fd7a:115c:a1e0::5 22"],
)
def test_a_session_to_another_address_does_not(proc: Proc, connection: str) -> None:
    assert not proc.session(connection)


def test_a_session_over_loopback_that_somebody_else_made_does_not(proc: Proc) -> None:
    (proc.daemon / "fd" / "12").unlink()
    assert not proc.session("127.0.0.1 41813 127.0.0.1 22")


@pytest.mark.parametrize("group", ["/system.slice/openvpn.service", "/system.slice/not-tailscaled.service", "/"])
def test_a_session_through_another_daemon_does_not(proc: Proc, group: str) -> None:
    (proc.daemon / "cgroup").write_text(f"0::{group}\n")
    assert not proc.session("100.64.0.1 50000 127.0.0.1 22")


@pytest.mark.parametrize("connection", ["", "nonsense", "a b c d"])
def test_without_a_session_nothing_does(proc: Proc, connection: str) -> None:
    assert not proc.session(connection)


def test_a_daemon_whose_descriptors_cannot_be_read_carries_nothing(proc: Proc) -> None:
    for descriptor in (proc.daemon / "fd").iterdir():
        descriptor.unlink()
    (proc.daemon / "fd").rmdir()
    assert not proc.session("100.64.0.1 50000 127.0.0.1 22")
