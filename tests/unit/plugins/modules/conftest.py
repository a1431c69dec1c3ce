# SPDX-License-Identifier: MIT
"""A host for ``daemon``."""

from __future__ import annotations

import functools
import os
import tempfile
import types
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args

from ansible_collections.wonder.mesh.plugins.module_utils import (
    _accounts,
    _checker,
    _daemon,
    _files,
    _ready,
    _transaction,
    _wanted,
    _wireguard_rotation,
)
from ansible_collections.wonder.mesh.plugins.modules import daemon, wireguard_interface
from tests.unit.plugins.modules.daemon_host import Host
from tests.unit.plugins.modules.moments import STEPS, Moments
from tests.unit.plugins.modules.wireguard_host import told

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.unit.plugins.modules.wireguard_host import WireGuardHost


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> Moments:
    """Records what the host goes through."""
    moments = Moments()
    for name in STEPS:
        monkeypatch.setattr(os, name, moments.step_of(name, getattr(os, name)))
    return moments


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Host]:
    """A bare host that the module takes for its own."""
    # In memory, where there is such a place: some tests make hundreds of hosts.
    memory = Path("/dev/shm")  # noqa: S108 - a directory of its own is made in it
    directory = tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None)
    # A module of tests may have a host of its own kind.
    host = getattr(request.module, "HOST", Host)(Path(directory.name).resolve() / "host")
    recorder = request.getfixturevalue("moments") if "moments" in request.fixturenames else None

    def run_command(
        _module: basic.AnsibleModule, args: list[str], pass_fds: tuple[int, ...] = (), **options: t.Any
    ) -> tuple[int, str, str]:
        host.inherited, host.given = pass_fds, options.get("data")
        return recorder.call(host, args) if recorder else host.run_command(args)

    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    def mkdtemp(prefix: str, dir: str) -> str:  # noqa: A002 - as the standard library has it
        assert dir == "/run"
        return tempfile.mkdtemp(prefix=prefix, dir=host.root / "run")

    monkeypatch.setattr(basic.AnsibleModule, "run_command", run_command)
    monkeypatch.setattr(_wanted, "INSTALL", str(host.bin))
    monkeypatch.setattr(daemon, "UNITS", str(host.units))
    monkeypatch.setattr(_wanted, "Daemon", functools.partial(_daemon.Daemon, state_root=str(host.state)))
    monkeypatch.setattr(
        _transaction.Transaction,
        "_touches_units",
        lambda _self, paths: any(path.startswith(str(host.units)) for path in paths),
    )
    monkeypatch.setattr(_checker, "tempfile", types.SimpleNamespace(mkdtemp=mkdtemp), raising=False)
    monkeypatch.setattr(_checker, "RUN", str(host.root / "run"), raising=False)
    monkeypatch.setattr(_ready, "_ask", lambda _ready: host.ask())
    for module in (_ready, _wireguard_rotation):
        monkeypatch.setattr(module, "time", types.SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))
    for module in (_files, _accounts):
        monkeypatch.setattr(module, "pwd", host.accounts)
        monkeypatch.setattr(module, "grp", host.accounts)
    monkeypatch.setattr(_accounts, "LISTS", [str(host.accounts.path(name)) for name in host.accounts.LISTS])
    host.patch(monkeypatch)
    mask = os.umask(0o022)
    yield host
    os.umask(mask)
    directory.cleanup()


@pytest.fixture
def run_daemon(run_module: Callable[..., dict[str, t.Any]]) -> Callable[..., dict[str, t.Any]]:
    """Call ``run(wanted, check_mode=)``: what the module answers. One of its own options is called ``check``."""
    return _with_check_mode(run_module, daemon.main)


@pytest.fixture
def run_interface(run_module: Callable[..., dict[str, t.Any]]) -> Callable[..., dict[str, t.Any]]:
    """Call ``run(wanted, check_mode=)``: what ``wireguard_interface`` answers."""
    return _with_check_mode(run_module, wireguard_interface.main)


def _with_check_mode(
    run_module: Callable[..., dict[str, t.Any]], module: Callable[[], None]
) -> Callable[..., dict[str, t.Any]]:
    def run(wanted: dict[str, t.Any], check_mode: bool = False) -> dict[str, t.Any]:
        def main() -> None:
            with patch_module_args(wanted | {"_ansible_check_mode": check_mode}):
                module()

        return run_module(main)

    return run


@pytest.fixture
def up(host: WireGuardHost, run_interface: Callable[..., dict[str, t.Any]]) -> WireGuardHost:
    """The host of ``wireguard_interface``, with its interface."""
    answer = run_interface(host.wanted())
    assert not answer["failed"], answer
    host.orders()
    told(host)
    return host
