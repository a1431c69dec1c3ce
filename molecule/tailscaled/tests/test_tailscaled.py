# SPDX-License-Identifier: MIT
"""Nodes after a reboot."""

import json
import typing as t

testinfra_hosts = ["ansible://nodes"]


def status(host: t.Any) -> dict[str, t.Any]:
    said = host.check_output("timeout 30 sh -c 'until tailscale status --json; do sleep 1; done'")
    return t.cast("dict[str, t.Any]", json.loads(said))


def test_it_is_in_the_mesh(host: t.Any) -> None:
    assert status(host)["BackendState"] == "Running"


def test_its_key_never_expires(host: t.Any) -> None:
    assert "KeyExpiry" not in status(host)["Self"]


def test_it_reaches_the_other_node(host: t.Any) -> None:
    other = {"vps": "box", "box": "vps"}[host.backend.get_hostname()]
    assert "pong from" in host.check_output(f"timeout 60 tailscale ping --c 3 --until-direct=false {other}")
