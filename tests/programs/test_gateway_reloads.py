# SPDX-License-Identifier: MIT
"""A gateway that is reloaded a hundred times under load: a real Caddy with routes that change, on its own loopback."""

from __future__ import annotations

import concurrent.futures
import contextlib
import ctypes
import hashlib
import os
import subprocess
import threading
import typing as t
from pathlib import Path

import pytest

from fleet.authority import Authority
from tests.programs.gateway import HEALTH, Gateway, Program, free_port
from tests.programs.reloads import NAME, PACE, RELOADS, Files, Line, Lines, Load, blocks, request
from tests.unit.plugins.plugin_utils.mesh_world import model

if t.TYPE_CHECKING:
    from collections.abc import Iterator

OTHER = "other.example.com"
CLONE_NEWNET = 0x40000000
MIGRATE = Path("/proc/sys/net/ipv4/tcp_migrate_req")  # as the unit sets it


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """This thread and all that it starts have a loopback of their own, where a closed listener leaves its clients to
    the one that stays."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    assert libc.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    try:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)
        MIGRATE.write_text("1")
        yield
    finally:
        assert libc.setns(before, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        os.close(before)


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Load]:
    """All that was said and loaded while the gateway took its reloads."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(own_network())
        program = stack.enter_context(Program(Files))
        line = stack.enter_context(Lines(("127.0.0.1", 0), Line))
        threading.Thread(target=line.serve_forever, daemon=True).start()
        stack.callback(line.shutdown)
        port = free_port()
        files = {"name": "files", "host": NAME, "port": program.port, "health": HEALTH}
        other = {"name": "other", "host": OTHER, "port": program.port, "health": HEALTH}
        tcp = {"name": "line", "protocol": "tcp", "port": line.server_address[1], "public_port": port}
        gateway = Gateway(tmp_path_factory.mktemp("gateway"), Authority("servers"), [NAME, OTHER])
        configs = [
            gateway.configure(
                model(
                    hosts={"nas": {"mesh_services": some}} | {f"mini-{n}": {"mesh_services": None} for n in (1, 2)},
                    everywhere={"mesh_dns_check": "warn"},
                )
            )
            for some in ([files, tcp], [files, tcp, other])
        ]
        for config in configs[1:]:  # each is made with ports of its own
            for name, server in config["apps"]["http"]["servers"].items():
                server["listen"] = configs[0]["apps"]["http"]["servers"][name]["listen"]
        gateway.write(configs[0])
        stack.enter_context(gateway.running())
        found = Load(gateway, port)
        stack.enter_context(found.open)
        talks: list[tuple[t.Any, ...]] = [
            (found.repeat, "fresh", found.fresh),
            (found.repeat, "kept", found.kept()),
            (found.repeat, "upgraded", found.stream(gateway.connect(NAME),
                                                    request("/", "Connection: Upgrade", "Upgrade: echo"))),
            (found.repeat, "tcp", found.stream(found.plain(), b"W")),
            (found.download, "http", gateway.connect(NAME), request("/large")),
            (found.download, "tcp", found.plain(), b"L"),
        ]  # fmt: skip
        with concurrent.futures.ThreadPoolExecutor(len(talks)) as pool:
            done = [pool.submit(*each) for each in talks]
            for number in range(RELOADS):
                gateway.write(configs[1 - number % 2])
                PACE.begin()
                assert gateway.reload().returncode == 0
            concurrent.futures.wait(done[-2:], 60)
            PACE.over.set()
            for talk in done:
                talk.result()
        yield found


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_a_gibibyte_that_is_loaded_through_a_hundred_reloads_is_whole(load: Load, kind: str) -> None:
    whole = hashlib.sha256()
    for block in blocks():
        whole.update(block)
    assert load.sums[kind] == whole.hexdigest()


@pytest.mark.parametrize("kind", ["fresh", "kept", "upgraded", "tcp"])
def test_a_hundred_reloads_under_load_cut_no_stream_and_lose_no_request(load: Load, kind: str) -> None:
    assert [what for name, what in load.wrong if name == kind] == []
    assert load.well[kind] > RELOADS
