# SPDX-License-Identifier: MIT

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils._hosts_block import HostsBlock

if t.TYPE_CHECKING:
    from pathlib import Path

OTHERS = "127.0.0.1 localhost\n# mine\n10.0.0.1 printer\n"
NAMES = {"nas.mesh.example.com": ["10.77.0.2", "fd77::2"], "edge.mesh.example.com": ["10.77.0.1"]}


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_text(OTHERS)
    path.chmod(0o644)
    return path


def block(hosts: Path, names: t.Mapping[str, list[str]] = NAMES) -> HostsBlock:
    return HostsBlock(names, "wm0", str(hosts))


def test_names_stand_below_the_lines_of_others(hosts: Path) -> None:
    block(hosts).write()
    ours = "10.77.0.1 edge.mesh.example.com\n10.77.0.2 nas.mesh.example.com\nfd77::2 nas.mesh.example.com\n"
    assert hosts.read_text() == f"{OTHERS}# BEGIN names of the mesh wm0\n{ours}# END names of the mesh wm0\n"
    assert block(hosts).difference() is None


def test_other_names_replace_those_that_are_there(hosts: Path) -> None:
    block(hosts).write()
    hosts.write_text(hosts.read_text() + "10.0.0.9 later\n")
    found = block(hosts, {"edge.mesh.example.com": ["10.77.0.9"]}).difference()
    assert found is not None
    assert found.after == "10.77.0.9 edge.mesh.example.com\n"
    block(hosts, {"edge.mesh.example.com": ["10.77.0.9"]}).write()
    assert "nas" not in hosts.read_text()
    assert hosts.read_text().startswith(OTHERS + "10.0.0.9 later\n")


def test_without_names_the_file_is_what_it_was(hosts: Path) -> None:
    assert block(hosts, {}).difference() is None
    block(hosts).write()
    block(hosts, {}).write()
    assert hosts.read_text() == OTHERS


def test_a_block_that_nothing_ends_takes_no_line_of_others(hosts: Path) -> None:
    hosts.write_text("# BEGIN names of the mesh wm0\n" + OTHERS)
    assert block(hosts).difference() is not None
    block(hosts).write()
    assert hosts.read_text().startswith(OTHERS + "# BEGIN")


def test_the_blocks_of_two_interfaces_do_not_meet(hosts: Path) -> None:
    block(hosts).write()
    HostsBlock({"a.other.example.com": ["10.9.0.1"]}, "wm1", str(hosts)).write()
    HostsBlock({}, "wm1", str(hosts)).write()
    assert block(hosts).difference() is None


def test_mode_and_foreign_bytes_stay(hosts: Path) -> None:
    hosts.write_bytes(b"10.0.0.1 caf\xe9\r\n")
    hosts.chmod(0o640)
    block(hosts).write()
    assert hosts.read_bytes().startswith(b"10.0.0.1 caf\xe9\r\n# BEGIN")
    assert hosts.stat().st_mode & 0o777 == 0o640
