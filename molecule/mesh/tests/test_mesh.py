# SPDX-License-Identifier: MIT
"""An inventory with a mistake ends the run before it reaches a host."""

import typing as t

testinfra_hosts = ["ansible://vps"]


def test_the_mistake_is_named(host: t.Any) -> None:
    assert "mesh_domain" in host.file("/run/mistake").content_string


def test_the_run_ended_there(host: t.Any) -> None:
    assert not host.file("/run/went-on").exists
