# SPDX-License-Identifier: MIT
"""What a fleet writes into its hosts."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from fleet import hostfiles, nat, topology

DEMO = topology.load("demo", nat.KINDS)
HOSTS = {host.name: host for host in DEMO.hosts}


@pytest.fixture(params=["mini-1", "mini-2", "laptop"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A host's name and the root that its files were written below."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to give files to the user ops")
    for directory in ("root", "home/ops", "etc/ssl/certs"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "etc/ssl/certs/ca-certificates.crt").write_text("OTHERS\n", encoding="ascii")
    name: t.Any = request.param
    key = hostfiles.ssh_key()
    hostfiles.write(tmp_path, "wm123abc", DEMO, HOSTS[name], "ssh-ed25519 LOGIN", key, "FLEET\n")
    return name, tmp_path


def test_public_names_and_services_stand_in_etc_hosts() -> None:
    lines = hostfiles.names(DEMO, HOSTS["nas"]).splitlines()
    assert "203.0.113.10 hub.wm.test" in lines
    assert "203.0.113.11 hello.wm.test" in lines
    assert "127.0.1.1 nas" in lines
    assert not [line for line in lines if "192.168." in line]


def test_a_node_serves_its_page_where_its_mesh_reaches_it(written: tuple[str, Path]) -> None:
    name, root = written
    unit = root / "etc/systemd/system/page.service"
    arguments = {
        "mini-1": "mini-1 0.0.0.0 http:8000 tcp:5432 tls:8443",
        "mini-2": "mini-2 127.0.0.1 http:8000",
        "nas": "nas 0.0.0.0 http:8000 tcp:5432 udp:9999",
    }
    if name in arguments:
        assert f"page.py {arguments[name]}\n" in unit.read_text(encoding="utf-8")
        assert (root / "etc/systemd/system/multi-user.target.wants/page.service").is_symlink()
    else:
        assert not unit.exists()


def test_a_host_trusts_the_fleet_besides_the_others(written: tuple[str, Path]) -> None:
    _name, root = written
    assert (root / "etc/ssl/certs/ca-certificates.crt").read_text(encoding="ascii") == "OTHERS\nFLEET\n"


def test_keys_are_readable_by_their_owner_only(written: tuple[str, Path]) -> None:
    _name, root = written
    for path, owner in (("etc/ssh/ssh_host_ed25519_key", 0), ("home/ops/.ssh/authorized_keys", 1000)):
        found = (root / path).stat()
        assert (found.st_mode & 0o777, found.st_uid) == (0o600, owner)


def test_openssh_reads_the_keys(tmp_path: Path) -> None:
    key = hostfiles.ssh_key()
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_text(key.private, encoding="ascii")
    done = subprocess.run(["ssh-keygen", "-y", "-f", str(path)], capture_output=True, text=True, timeout=30)
    assert done.stdout.split()[:2] == key.public.split()
