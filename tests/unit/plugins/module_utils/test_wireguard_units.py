# SPDX-License-Identifier: MIT
"""The units of an interface, of the kernel or of wireguard-go; systemd's own verdict on them is a test of the fleet."""

from __future__ import annotations

import hashlib
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_daemon import ARGUMENTS, described
from ansible_collections.wonder.mesh.plugins.plugin_utils import _reading
from tests.unit.plugins.modules.wireguard_host import table

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.module_utils._daemon import Daemon

DIGEST = hashlib.sha256(b"x").hexdigest()
GO = {"x86_64": [{"name": "wireguard-go", "sha256": DIGEST, "label": "wireguard-go 1"}]}


def daemon(userspace: bool, **changes: t.Any) -> Daemon:
    given = {"table": table(), "agent_sha256": DIGEST, "preshared_sha256": DIGEST, "binaries": GO}
    parameters = _reading.valid(given | changes, ARGUMENTS)
    assert parameters is not None
    return described(parameters, "x86_64", userspace)


def unit(userspace: bool, number: int) -> list[str]:
    wanted = daemon(userspace)
    (file,) = [each for each in wanted.files if each.path.endswith(f"/{wanted.units[number]}")]
    return (file.content or b"").decode().splitlines()


@pytest.mark.parametrize("userspace", [True, False])
def test_every_unit_is_hardened(userspace: bool) -> None:
    for number in range(2):
        lines = unit(userspace, number)
        assert {"NoNewPrivileges=yes", "ProtectSystem=strict", "MemoryDenyWriteExecute=yes", "ProtectHome=yes"} <= {
            *lines
        }
        assert [line for line in lines if "{" in line or "}" in line] == []


def test_the_watch_has_no_capability_where_a_process_has_the_interface() -> None:
    assert "CapabilityBoundingSet=" in unit(True, 1)
    assert "CapabilityBoundingSet=CAP_NET_ADMIN" in unit(False, 1)


def test_only_a_process_gets_a_device_and_a_program() -> None:
    assert "DeviceAllow=/dev/net/tun rw" in unit(True, 0)
    assert [line for line in unit(False, 0) if "tun" in line or "wireguard-go" in line] == []
    programs = [[each.path for each in daemon(kind).files if "bin/" in each.path] for kind in (True, False)]
    assert programs == [["/usr/local/bin/wireguard-go"], []]


def test_no_new_peer_asks_for_a_restart() -> None:
    files = {each.path: each.effect for each in daemon(True).files}
    kept = [path for path, effect in files.items() if effect == "reload"]
    assert [path.rpartition("/")[2] for path in kept] == ["wireguard-wm0.pyz", "wm0.json", "wm0.preshared.json"]


def test_whatever_is_wanted_otherwise_has_another_identity() -> None:
    changes: list[dict[str, t.Any]] = [
        {},
        {"table": table(port=1)},
        {"rules": {"input": [{"from": ["10.77.0.0/16"], "ports": ["tcp:1"]}]}},
        {"names": {"x": ["10.77.0.1"]}},
        {"registry": "x\n"},
        {"preshared_sha256": hashlib.sha256(b"y").hexdigest()},
        {"agent_sha256": hashlib.sha256(b"y").hexdigest()},
    ]
    found = {daemon(True, **each).identity for each in changes}
    assert len(found | {daemon(False).identity}) == len(changes) + 1


def test_how_a_change_is_sent_does_not_count_for_the_identity() -> None:
    assert daemon(True, uploads={DIGEST: "/tmp/x"}, trial="t", confirm=False).identity == daemon(True).identity  # noqa: S108
