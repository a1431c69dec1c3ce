# SPDX-License-Identifier: MIT
"""The public front after its process died."""

import typing as t

import pytest

testinfra_hosts = ["ansible://gateways"]
CURL = "curl --silent --max-time 10 --output /dev/null --write-out '%{http_code}' https://vps.wm.test"


def test_it_runs_without_root(host: t.Any) -> None:
    assert host.process.get(comm="caddy").user == "caddy"


def test_it_serves_the_control_plane(host: t.Any) -> None:
    assert host.check_output(f"{CURL}/health") == "200"


@pytest.mark.parametrize("path", ["/api/v1/node", "/swagger", "/metrics"])
def test_it_serves_no_administration(host: t.Any, path: str) -> None:
    assert host.check_output(f"{CURL}{path}") == "404"
