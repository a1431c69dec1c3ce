# SPDX-License-Identifier: MIT
"""Which firewalls of the host a look names; that nft lists them like this is a test of the fleet."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_obstacles import obstacles

TABLE = "table {} {{\n\tchain {} {{\n\t\ttype filter hook {} priority filter; policy {};\n\t}}\n}}\n"
DOCKER = TABLE.format("ip filter", "FORWARD", "forward", "drop")
OURS = TABLE.format("inet wonder_mesh_wm0", "forward", "forward", "accept")
INPUT = TABLE.format("inet filter", "input", "input", "drop")


def found(listed: str, rules: str = "", rc: int = 0) -> list[str]:
    def run(command: t.Sequence[str], _given: str) -> tuple[int, str, str]:
        return (rc, listed, "") if command[-1] == "chains" else (0, rules, "")

    return obstacles("wm0", run)


def test_a_chain_that_forwards_nothing_is_named() -> None:
    assert found(OURS + DOCKER) == ["ip filter FORWARD"]


@pytest.mark.parametrize("listed", ["", OURS, INPUT])
def test_others_are_not(listed: str) -> None:
    assert found(listed) == []


def test_one_that_knows_the_interface_is_not() -> None:
    rule = 'iifname "{}" counter packets 0 bytes 0 accept'
    assert [found(DOCKER, rule.format(name)) for name in ("wm0", "wm*")] == [[], []]
    assert found(DOCKER, rule.format("wm01")) == ["ip filter FORWARD"]


def test_without_nft_nothing_is_said() -> None:
    assert found("", rc=127) == []
