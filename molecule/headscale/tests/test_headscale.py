# SPDX-License-Identifier: MIT
"""Headscale after a reboot of its host."""

import json
import typing as t

testinfra_hosts = ["ansible://coordinator"]


def test_it_runs(host: t.Any) -> None:
    assert host.service("headscale").is_running


def test_it_is_healthy(host: t.Any) -> None:
    assert "pass" in host.check_output("curl --silent --retry 10 --retry-connrefused http://127.0.0.1:8080/health")


def test_it_has_its_policy(host: t.Any) -> None:
    assert "tag:node" in json.loads(host.check_output("headscale policy get"))["tagOwners"]


def test_it_listens_on_loopback_only(host: t.Any) -> None:
    assert not host.socket("tcp://0.0.0.0:8080").is_listening
