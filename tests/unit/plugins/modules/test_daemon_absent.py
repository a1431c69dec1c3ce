# SPDX-License-Identifier: MIT
"""``daemon`` with ``state: absent``: the machine is what it was."""

from __future__ import annotations

import typing as t

import pytest

from tests.unit.plugins.modules.daemon_host import SHOW

if t.TYPE_CHECKING:
    from tests.unit.plugins.modules.daemon_host import Host, Run


@pytest.fixture
def bare(host: Host, run_daemon: Run) -> dict[str, t.Any]:
    """What the host was before the daemon was installed, with data."""
    before = host.snapshot()
    assert not run_daemon(host.wanted())["failed"]
    (host.data / "database").write_text("precious\n")
    host.commands.clear()
    return before


def absent(host: Host, **changes: t.Any) -> dict[str, t.Any]:
    return host.wanted(state="absent", **changes)


def test_all_but_the_data_goes(host: Host, run_daemon: Run, bare: dict[str, t.Any]) -> None:
    result = run_daemon(absent(host))
    assert (result["failed"], result["changed"]) == (False, True)
    found = host.snapshot()
    kept = {"user demo", "var/demo", "var/demo/database", "var/demo/schema"}
    assert {key: found[key] for key in found if key not in kept and not key.startswith("var/wonder-mesh")} == bare
    assert (host.data / "database").read_text() == "precious\n"
    assert host.unit().active == "inactive"


def test_with_the_data_all_goes(host: Host, run_daemon: Run, bare: dict[str, t.Any]) -> None:
    run_daemon(absent(host, remove_data=True))
    assert host.snapshot() == bare


@pytest.mark.parametrize("remove_data", [False, True])
def test_absent_twice_changes_nothing_and_asks_once(
    host: Host, run_daemon: Run, bare: dict[str, t.Any], remove_data: bool
) -> None:
    run_daemon(absent(host, remove_data=remove_data))
    host.commands.clear()
    result = run_daemon(absent(host, remove_data=remove_data))
    assert (result["failed"], result["changed"], result["diff"]) == (False, False, [])
    assert host.commands == [SHOW]


def test_absent_on_a_bare_host_changes_nothing(host: Host, run_daemon: Run) -> None:
    before = host.snapshot()
    assert run_daemon(absent(host))["changed"] is False
    assert host.snapshot() == before


def test_the_data_can_go_later_with_the_user_that_was_made_for_it(
    host: Host, run_daemon: Run, bare: dict[str, t.Any]
) -> None:
    run_daemon(absent(host))
    assert run_daemon(absent(host, remove_data=True))["changed"]
    assert host.snapshot() == bare


def test_a_user_that_was_there_before_stays(host: Host, run_daemon: Run) -> None:
    host.accounts.add("demo")
    before = host.snapshot()
    run_daemon(host.wanted())
    run_daemon(absent(host, remove_data=True))
    assert host.snapshot() == before


def test_the_program_goes_though_no_cache_names_it(host: Host, run_daemon: Run, bare: dict[str, t.Any]) -> None:
    assert not run_daemon(absent(host, remove_data=True) | {"binaries": {}, "files": []})["failed"]
    assert host.snapshot() == bare


def test_what_somebody_else_put_there_stays_and_is_no_change_for_ever(
    host: Host, run_daemon: Run, bare: dict[str, t.Any]
) -> None:
    (host.config.parent / "mine").write_text("mine\n")
    assert run_daemon(absent(host))["changed"]
    assert (host.config.parent / "mine").read_text() == "mine\n"
    assert run_daemon(absent(host))["changed"] is False


def test_a_unit_that_does_not_stop_leaves_the_files(host: Host, run_daemon: Run, bare: dict[str, t.Any]) -> None:
    host.broken = {"stop"}
    before = host.snapshot()
    result = run_daemon(absent(host))
    assert "systemctl stop -- demo.service failed: stop is broken" in result["msg"]
    assert host.snapshot() == before


def test_the_next_install_finds_the_data(host: Host, run_daemon: Run, bare: dict[str, t.Any]) -> None:
    run_daemon(absent(host))
    assert not run_daemon(host.wanted())["failed"]
    assert (host.data / "database").read_text() == "precious\n"
    assert host.unit().active == "active"
