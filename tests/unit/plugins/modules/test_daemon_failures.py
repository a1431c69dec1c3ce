# SPDX-License-Identifier: MIT
"""``daemon`` when something goes wrong: the previous state is back, and the message says so."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils import _files
from ansible_collections.wonder.mesh.plugins.modules import daemon
from tests.unit.plugins.modules.daemon_host import Host
from tests.unit.plugins.modules.judge import Judge

if t.TYPE_CHECKING:
    from tests.unit.plugins.modules.daemon_host import Run


@pytest.fixture
def installed(host: Host, run_daemon: Run) -> Host:
    assert not run_daemon(host.wanted())["failed"]
    (host.data / "database").write_text("precious\n")
    host.commands.clear()
    return host


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_refused_check_leaves_every_byte(installed: Host, run_daemon: Run, check_mode: bool) -> None:
    before = installed.snapshot()
    result = run_daemon(installed.wanted(config="wrong\n", extra="extra 2\n"), check_mode=check_mode)
    assert result["failed"]
    assert f"`demo check {installed.config}` refused the new configuration (exit status 1): refused" in result["msg"]
    assert installed.snapshot() == before
    assert all(each.startswith(("cp ", "systemd-run ")) for each in installed.orders())


def test_a_refused_first_check_leaves_a_bare_host_bare(host: Host, run_daemon: Run) -> None:
    before = host.snapshot()
    result = run_daemon(host.wanted(config="wrong\n"))
    assert "Nothing was changed; demo is as it was." in result["msg"]
    found = host.snapshot()
    assert {key: found[key] for key in found if not key.startswith("var/wonder-mesh")} == before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"config": "dies\n"}, "demo.service died while starting (exit-code)"),
        ({"config": "loops\n"}, "demo.service died while starting (success)"),
        ({"config": "mute\n"}, "demo.service was not ready within 30 s: it is mute"),
        ({"extra": "mute\n"}, "demo.service was not ready within 30 s: it is mute"),
        ({"unit": "[Service]\n# 2\n", "config": "dies\n"}, "demo.service died while starting"),
        ({"program": "program 2 dies"}, "demo.service died while starting"),
    ],
)
def test_what_does_not_come_up_is_put_back(
    installed: Host, run_daemon: Run, change: dict[str, t.Any], reason: str
) -> None:
    before = installed.snapshot()
    result = run_daemon(installed.wanted(**change))
    assert result["failed"]
    assert reason in result["msg"]
    assert (
        "The previous state was put back, and demo runs with it. The daemon's last words:\nlast words" in result["msg"]
    )
    assert installed.snapshot() == before


def test_what_never_ran_goes_altogether_but_for_what_the_daemon_wrote(host: Host, run_daemon: Run) -> None:
    before = host.snapshot()
    result = run_daemon(host.wanted(program="program 1 dies"))
    assert "The previous state was put back; the daemon did not run before, and does not run now." in result["msg"]
    after = host.snapshot()
    new = sorted(key for key in set(after) - set(before) if not key.startswith("var/wonder-mesh"))
    assert new == ["unit demo.service", "user demo", "var/demo", "var/demo/schema"] or new == [
        "user demo",
        "var/demo",
        "var/demo/schema",
    ]
    assert (host.unit().enabled, host.unit().runs) == (False, {})


def test_directories_get_their_owner_and_mode_back(installed: Host, run_daemon: Run) -> None:
    before = installed.snapshot()
    wanted = installed.wanted(config="dies\n")
    wanted["directories"] = [*wanted["directories"], {"path": str(installed.etc / "more")}]
    wanted["directories"][0] = wanted["directories"][0] | {"mode": "0755"}
    assert run_daemon(wanted)["failed"]
    assert installed.snapshot() == before


def test_a_refused_reload_does_not_restart_the_daemon(installed: Host, run_daemon: Run) -> None:
    before = installed.snapshot()
    result = run_daemon(installed.wanted(extra="stubborn\n", check=[]))
    assert "systemctl reload -- demo.service failed: refused. The previous state was put back" in result["msg"]
    orders = [each for each in installed.orders() if not each.startswith("journalctl")]
    assert "reload -- demo.service" in orders
    assert not any(each.startswith(("restart", "stop")) for each in orders)
    assert installed.snapshot() == before


def test_an_unready_reload_that_can_be_undone_by_one_does_not_restart(installed: Host, run_daemon: Run) -> None:
    run_daemon(installed.wanted(extra="mute\n", check=[]))
    orders = [each for each in installed.orders() if not each.startswith(("journalctl", "enable"))]
    assert orders == ["reload -- demo.service"] * 2


def test_an_upgrade_copies_the_data_and_puts_it_back_with_the_old_program(installed: Host, run_daemon: Run) -> None:
    before = installed.snapshot()
    result = run_daemon(installed.wanted(program="program 2 dies", check=[]))
    assert result["failed"]
    assert installed.snapshot() == before
    assert (installed.data / "schema").read_text() == "schema 1"
    orders = installed.orders()
    copied = next(number for number, each in enumerate(orders) if each.startswith("cp "))
    assert orders[copied - 1] == "stop -- demo.service"
    assert orders[copied + 1] == "restart --no-block -- demo.service"


def test_an_upgrade_that_comes_up_keeps_no_copy_of_the_data(installed: Host, run_daemon: Run) -> None:
    assert not run_daemon(installed.wanted(program="program 2"))["failed"]
    assert (installed.data / "schema").read_text() == "schema 2"
    assert (installed.data / "database").read_text() == "precious\n"
    assert sorted(path.name for path in (installed.state / "demo").iterdir()) == ["applied.json"]


@pytest.mark.parametrize("damage", ["flipped", "truncated", "other", "gone"])
def test_a_damaged_upload_is_refused_and_changes_nothing(installed: Host, run_daemon: Run, damage: str) -> None:
    before = installed.snapshot()
    wanted = installed.wanted(program="program 2")
    (upload,) = {Path(each) for each in wanted["uploads"].values()} - {
        Path(each) for each in installed.wanted()["uploads"].values()
    }
    content = upload.read_bytes()
    if damage == "flipped":
        # One bit of the compressed stream: behind the ten bytes of the header, before the checksum.
        upload.write_bytes(content[:-10] + bytes([content[-10] ^ 1]) + content[-9:])
    elif damage == "truncated":
        upload.write_bytes(content[:-6])
    elif damage == "other":
        upload.write_bytes(Path(installed.upload("program 3")).read_bytes())
    else:
        upload.unlink()
    result = run_daemon(wanted)
    assert result["failed"]
    assert str(installed.bin / "demo") in result["msg"] or str(upload) in result["msg"]
    assert "Nothing was changed" in result["msg"]
    assert installed.snapshot() == before
    assert not any(each.startswith(("stop", "restart", "reload")) for each in installed.orders())


def test_a_full_disk_changes_nothing(installed: Host, run_daemon: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stage(file: _files.File, *_: t.Any) -> None:
        if file.path.endswith("extra"):
            raise OSError(28, "No space left on device")
        _files.stage(file, {})

    before = installed.snapshot()
    monkeypatch.setattr("ansible_collections.wonder.mesh.plugins.module_utils._transaction.stage", stage)
    result = run_daemon(installed.wanted(config="config 2\n", extra="extra 2\n"))
    assert "No space left on device" in result["msg"]
    assert installed.snapshot() == before


def test_a_failed_stop_leaves_the_unit_enabled(installed: Host, run_daemon: Run) -> None:
    installed.broken = {"stop"}
    before = installed.snapshot()
    assert run_daemon(installed.wanted(state="stopped"))["failed"]
    installed.broken = set()
    assert installed.snapshot() == before


def test_a_unit_that_was_enabled_but_did_not_run_is_enabled_again(
    installed: Host, run_daemon: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed.run_command(["systemctl", "stop", "--", "demo.service"])
    before = installed.snapshot()
    failures = iter([True])

    def run_command(args: list[str]) -> tuple[int, str, str]:
        if "stop" in args and next(failures, False):
            return 1, "", "only once"
        return Host.run_command(installed, args)

    monkeypatch.setattr(installed, "run_command", run_command)
    assert "only once" in run_daemon(installed.wanted(state="stopped"))["msg"]
    assert installed.snapshot() == before


def test_when_the_way_back_fails_too_the_message_says_where_all_is(installed: Host, run_daemon: Run) -> None:
    installed.broken = {"restart"}
    result = run_daemon(installed.wanted(config="config 2\n", check=[]))
    assert "Putting the previous state back failed too" in result["msg"]
    assert f"What was saved is in {installed.state / 'demo'}; the next run goes on from there" in result["msg"]
    installed.broken = set()
    assert not run_daemon(installed.wanted(config="config 2\n"))["failed"]
    assert sorted(path.name for path in (installed.state / "demo").iterdir()) == ["applied.json"]


@pytest.mark.parametrize("kind", ["directory", "link", "file for a directory"])
def test_something_else_in_the_way_is_named(host: Host, run_daemon: Run, kind: str) -> None:
    if kind == "file for a directory":
        host.data.write_text("")
    elif kind == "directory":
        host.config.mkdir(parents=True)
    else:
        host.config.parent.mkdir()
        host.config.symlink_to("/dev/null")
    before = host.snapshot() if kind != "link" else {}
    result = run_daemon(host.wanted())
    assert "move it away and run again" in result["msg"]
    assert (host.snapshot() if kind != "link" else {}) == before


def test_a_damaged_memory_brings_the_daemon_up_anew(installed: Host, run_daemon: Run) -> None:
    (installed.state / "demo" / "applied.json").write_text("{")
    result = run_daemon(installed.wanted())
    assert (result["failed"], result["restarted"]) == (False, True)
    assert not run_daemon(installed.wanted())["changed"]


def test_a_systemd_that_does_not_answer_is_named(
    installed: Host, run_daemon: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installed, "run_command", lambda args: (124, "", ""))
    assert "systemctl show gave no answer within 90 s" in run_daemon(installed.wanted())["msg"]


@pytest.mark.parametrize("change", [{"config": "2\n"}, {"program": "program 2"}, {"unit": "[Service]\n# 2\n"}])
def test_what_cuts_the_controller_off_is_put_back(
    installed: Host, run_daemon: Run, monkeypatch: pytest.MonkeyPatch, change: dict[str, t.Any]
) -> None:
    Judge(monkeypatch, daemon, "It is cut off")
    before = installed.snapshot()
    result = run_daemon(installed.wanted(**change) | {"trial": "t"})
    assert result["msg"].startswith("It is cut off. The previous state was put back, and demo runs with it.")
    assert installed.snapshot() == before


@pytest.mark.parametrize(("through_it", "trials"), [(True, ["t"]), (False, [""])])
def test_a_change_is_on_trial_when_the_session_comes_through_the_daemon(
    installed: Host, run_daemon: Run, monkeypatch: pytest.MonkeyPatch, through_it: bool, trials: list[str]
) -> None:
    judge = Judge(monkeypatch, daemon)
    monkeypatch.setattr(daemon, "comes_through", lambda units: through_it and units == ("demo.service",))
    assert run_daemon(installed.wanted(config="2\n") | {"trial": "t"})["changed"]
    assert judge.trials == trials


def test_a_daemon_that_is_as_wanted_needs_no_trial(
    installed: Host, run_daemon: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = Judge(monkeypatch, daemon)
    run_daemon(installed.wanted() | {"trial": "t"})
    run_daemon(installed.wanted(config="2\n") | {"trial": "t"}, check_mode=True)
    assert judge.trials == []


def test_a_host_that_ssh_asks_again_says_that_its_change_is_on_trial(
    installed: Host, run_daemon: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "begun", lambda trial: trial == "t")
    assert run_daemon(installed.wanted(config="2\n") | {"trial": "t"})["on_trial"]
    assert installed.commands == []
