# SPDX-License-Identifier: MIT
"""The inventory that finds its hosts by itself, asked of the demo's real Headscale."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
import typing as t

import pytest
from world import ROOT, run

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from world import Fleet

NODES = "timeout 20 headscale nodes list --output json"
SECONDS = 30


@pytest.fixture(scope="module")
def port(demo: Fleet) -> Iterator[int]:
    """A port of this machine behind which Headscale's API is, as a person brings it here."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
    config = demo.inventory.parents[1] / "ssh_config"
    forward = ["-N", "-L", f"127.0.0.1:{number}:127.0.0.1:8080", "hub"]
    own = ["-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "ExitOnForwardFailure=yes"]
    with subprocess.Popen(["ssh", "-F", str(config), *own, *forward], stdin=subprocess.DEVNULL) as tunnel:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", number), 1):
                break
            time.sleep(0.1)
        yield number
        tunnel.terminate()


@pytest.fixture(scope="module")
def file(demo: Fleet, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The inventory file, and a key for it that is deleted afterwards."""
    hub, folder = demo.host("hub"), tmp_path_factory.mktemp("discovery")
    made = hub.run("timeout 20 headscale apikeys create --expiration 1h --output json")
    key: str = json.loads(made.stdout)
    (folder / "key").touch(mode=0o600)
    (folder / "key").write_text(key)
    path = folder / "headscale.yml"
    path.write_text(f"plugin: wonder.mesh.headscale\nurl: http://127.0.0.1:{port}\napi_key_file: key\n")
    yield path
    hub.run(f"timeout 20 headscale apikeys delete --prefix {key.split('-')[2]} --force")


@pytest.fixture(scope="module")
def graph(file: Path) -> str:
    command = ["ansible-inventory", "-i", str(file), "--graph"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=SECONDS).stdout


def members(graph: str, group: str) -> set[str]:
    """The hosts of a group."""
    found: set[str] = set()
    inside = False
    for line in graph.splitlines():
        name = line.lstrip(" |-")
        inside = name == f"@{group}:" if name.startswith("@") else inside
        if inside and not name.startswith("@"):
            found.add(name)
    return found


def known(demo: Fleet, tag: str) -> set[str]:
    """The nodes with this tag that are connected, as Headscale itself lists them."""
    listed = json.loads(run(demo.host("hub"), NODES).stdout)
    return {each["given_name"] for each in listed if each.get("online") and tag in each.get("tags", [])}


@pytest.mark.parametrize("tag", ["node", "gateway"])
def test_the_graph_agrees_with_headscale(demo: Fleet, graph: str, tag: str) -> None:
    expected = known(demo, f"tag:{tag}")
    assert expected != set()
    assert members(graph, f"tag_{tag}") == expected


def test_a_host_is_reached_at_its_address_in_the_mesh(demo: Fleet, file: Path) -> None:
    command = ["ansible-inventory", "-i", str(file), "--host", "nas"]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=SECONDS).stdout
    assert demo.address("nas") in said
