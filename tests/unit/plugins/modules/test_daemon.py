# SPDX-License-Identifier: MIT
"""``daemon`` when all goes well: what it makes, finds, foretells and tells the daemon."""

from __future__ import annotations

import json
import platform
import stat
import typing as t

import pytest

from tests.unit.plugins.modules.daemon_host import SECRET, SHOW

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.plugins.modules.daemon_host import Host, Run


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


def headers(result: dict[str, t.Any]) -> list[str]:
    """What a diff is about, by file name."""
    return [each["before_header"].rsplit("/", 1)[-1] for each in result["diff"]]


def remove(path: Path) -> None:
    path.unlink()


def install(host: Host, run_daemon: Run, **changes: t.Any) -> None:
    result = run_daemon(host.wanted(**changes))
    assert not result["failed"], result["msg"]
    host.commands.clear()


def test_makes_everything(host: Host, run_daemon: Run) -> None:
    result = run_daemon(host.wanted())
    assert (result["failed"], result["changed"], result["restarted"], result["reloaded"]) == (False, True, True, False)
    assert result["machine"] == platform.machine()
    assert host.config.read_text() == "config 1\n"
    assert (host.etc / "demo" / "secret").read_text() == SECRET
    assert {path.name: mode(path) for path in host.config.parent.iterdir()} == {
        "config": "0o640",
        "extra": "0o644",
        "secret": "0o600",
    }
    assert (mode(host.config.parent), mode(host.data), mode(host.bin / "demo")) == ("0o750", "0o700", "0o755")
    assert host.accounts.names == {"root", "demo"}
    assert (host.unit().enabled, host.unit().active) == (True, "active")
    assert host.unit().runs["config"] == b"config 1\n"
    assert sorted(path.name for path in (host.state / "demo").iterdir()) == ["applied.json"]
    assert mode(host.state / "demo") == "0o700"


def test_a_user_gets_the_group_of_its_name_that_is_there(host: Host, run_daemon: Run) -> None:
    host.accounts.add("demo", ("group", "gshadow"))
    assert not run_daemon(host.wanted())["failed"]
    assert host.accounts.snapshot()["user demo"] == ["passwd", "shadow", "group", "gshadow"]


def test_the_second_run_changes_nothing_and_asks_once(host: Host, run_daemon: Run) -> None:
    install(host, run_daemon)
    before = host.snapshot()
    wanted = host.wanted() | {"uploads": {}}
    assert host.is_known_as(wanted)
    host.commands.clear()
    result = run_daemon(wanted)
    assert (result["failed"], result["changed"], result["diff"]) == (False, False, [])
    assert "missing" not in result
    assert host.commands == [SHOW]
    assert host.snapshot() == before


def test_asks_for_what_it_lacks_before_it_changes_anything(host: Host, run_daemon: Run) -> None:
    before = host.snapshot()
    wanted = host.wanted()
    result = run_daemon(wanted | {"uploads": {}})
    assert result["missing"] == sorted(wanted["uploads"])
    assert (host.snapshot(), host.commands) == (before, [SHOW])


def test_asks_for_a_program_that_no_cache_has_for_its_architecture(host: Host, run_daemon: Run) -> None:
    result = run_daemon(host.wanted() | {"binaries": {}})
    assert (result["missing"], result["machine"], result["changed"]) == (["program"], platform.machine(), False)
    assert host.commands == []


CHANGES: dict[str, dict[str, t.Any]] = {
    "nothing": {},
    "restart": {"config": "config 2\n"},
    "reload": {"extra": "extra 2\n"},
    "unit": {"unit": "[Service]\n# 2\n"},
    "secret": {"secret": "another-secret"},
    "program": {"program": "program 2"},
    "stopped": {"state": "stopped"},
    "absent": {"state": "absent"},
    "everything gone": {"state": "absent", "remove_data": True},
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("installed", [False, True])
def test_check_mode_foretells_and_writes_nothing(host: Host, run_daemon: Run, change: str, installed: bool) -> None:
    if installed:
        install(host, run_daemon)
    before = host.snapshot()
    foretold = run_daemon(host.wanted(**CHANGES[change]) | {"uploads": {}}, check_mode=True)
    assert host.snapshot() == before
    assert all(each.startswith(("cp ", "systemd-run ")) for each in host.orders())
    done = run_daemon(host.wanted(**CHANGES[change]))
    for each in ("failed", "changed", "diff", "restarted", "reloaded"):
        assert foretold[each] == done[each], each
    assert done["changed"] == (host.snapshot() != before)


@pytest.mark.parametrize(
    ("drift", "found"),
    {
        "content": (lambda host: host.config.write_text("mine\n"), ["config", "demo.service"]),
        "mode": (lambda host: host.config.chmod(0o666), ["config (attributes)"]),
        "missing file": (lambda host: remove(host.config), ["config", "demo.service"]),
        "mode of the program": (lambda host: (host.bin / "demo").chmod(0o700), ["demo (attributes)"]),
        "missing program": (lambda host: remove(host.bin / "demo"), ["demo", "demo.service"]),
        "damaged program": (lambda host: (host.bin / "demo").write_text("?"), ["demo", "demo.service"]),
        "secret": (lambda host: (host.etc / "demo" / "secret").write_text("?"), ["secret", "demo.service"]),
        "mode of a directory": (lambda host: host.data.chmod(0o755), ["demo"]),
        "missing user": (lambda host: host.accounts.remove("demo"), ["user demo"]),
        "disabled": (lambda host: setattr(host.unit(), "enabled", False), ["demo.service"]),
        "stopped": (lambda host: host.run_command(["systemctl", "stop", "--", "demo.service"]), ["demo.service"]),
        "failed": (lambda host: setattr(host.unit(), "active", "failed"), ["demo.service"]),
        "read an older unit file": (lambda host: setattr(host.unit(), "loaded", b"older"), ["demo.service"]),
    }.values(),
)
def test_finds_and_mends_only_what_drifted(
    host: Host, run_daemon: Run, drift: Callable[[Host], t.Any], found: list[str]
) -> None:
    install(host, run_daemon)
    wanted = host.snapshot()
    numbers = {path: path.stat().st_ino for path in host.etc.rglob("*") if path.is_file()}
    drift(host)
    assert not host.is_known_as(host.wanted())
    host.commands.clear()
    result = run_daemon(host.wanted())
    assert headers(result) == found
    assert host.snapshot() == wanted
    assert host.is_known_as(host.wanted())
    untouched = {path for path in numbers if path.name not in "".join(found)}
    assert all(path.stat().st_ino == numbers[path] for path in untouched)


@pytest.mark.parametrize("change", [each for each in CHANGES if each != "nothing"])
def test_a_look_at_the_host_shows_that_something_else_is_wanted(host: Host, run_daemon: Run, change: str) -> None:
    install(host, run_daemon)
    assert not host.is_known_as(host.wanted(**CHANGES[change]))


@pytest.mark.parametrize("option", [{"check": []}, {"ready": {"url": "http://127.0.0.1/"}}, {"home": "/var/demo"}])
def test_what_makes_no_difference_yet_is_remembered_by_the_run_that_finds_it(
    host: Host, run_daemon: Run, option: dict[str, t.Any]
) -> None:
    install(host, run_daemon)
    assert not host.is_known_as(host.wanted(**option))
    assert run_daemon(host.wanted(**option))["changed"] is False
    assert host.is_known_as(host.wanted(**option))


def test_the_memory_of_an_older_version_counts_for_nothing_and_is_brought_up_to_date(
    host: Host, run_daemon: Run
) -> None:
    install(host, run_daemon)
    memory = host.state / "demo" / "applied.json"
    for older in ({}, {"wanted": {}}, {"wanted": {"name": "demo", "colour": "red"}}):
        memory.write_text(json.dumps(json.loads(memory.read_text()) | {"wanted": {}} | older))
        assert not host.is_known_as(host.wanted())
        assert run_daemon(host.wanted())["changed"] is False
        assert host.is_known_as(host.wanted())


@pytest.mark.parametrize(
    "trace", ["journal.json", ".journal.json.wonder-mesh", "previous", ".applied.json.wonder-mesh"]
)
def test_a_host_with_traces_of_a_killed_run_is_not_known(host: Host, run_daemon: Run, trace: str) -> None:
    install(host, run_daemon)
    (host.state / "demo" / trace).mkdir()
    assert not host.is_known_as(host.wanted())


def test_mends_a_missing_directory(host: Host, run_daemon: Run) -> None:
    install(host, run_daemon)
    (host.data / "schema").unlink()
    host.data.rmdir()
    result = run_daemon(host.wanted())
    assert (headers(result), host.data.is_dir()) == (["demo"], True)


def test_removes_a_file_that_is_no_longer_wanted(host: Host, run_daemon: Run) -> None:
    wanted = host.wanted()
    old = {"path": str(host.etc / "demo" / "old"), "content": "old\n", "on_change": "none"}
    run_daemon(wanted | {"files": [*wanted["files"], old]})
    assert (host.etc / "demo" / "old").exists()
    host.orders()
    result = run_daemon(wanted)
    assert result["diff"] == [
        {"before_header": old["path"], "after_header": old["path"], "before": "(no longer wanted)\n", "after": ""}
    ]
    assert not (host.etc / "demo" / "old").exists()
    assert host.orders() == []


@pytest.mark.parametrize(
    ("change", "orders"),
    [
        ({"config": "config 2\n"}, ["restart --no-block -- demo.service"]),
        ({"extra": "extra 2\n"}, ["reload -- demo.service"]),
        ({"extra": "extra 2\n", "config": "config 2\n"}, ["restart --no-block -- demo.service"]),
        ({"unit": "[Service]\n# 2\n"}, ["daemon-reload", "restart --no-block -- demo.service"]),
        ({"state": "stopped"}, ["disable --quiet -- demo.service", "stop -- demo.service"]),
    ],
)
def test_tells_the_daemon_no_more_than_the_change_asks(
    host: Host, run_daemon: Run, change: dict[str, t.Any], orders: list[str]
) -> None:
    install(host, run_daemon, check=[])
    result = run_daemon(host.wanted(check=[], **change))
    assert not result["failed"]
    assert host.orders() == orders


def test_a_change_that_asks_for_nothing_leaves_the_daemon_alone(host: Host, run_daemon: Run) -> None:
    note = {"path": str(host.etc / "note"), "content": "1\n", "on_change": "none"}
    wanted = host.wanted()
    run_daemon(wanted | {"files": [*wanted["files"], note]})
    host.orders()
    result = run_daemon(wanted | {"files": [*wanted["files"], note | {"content": "2\n"}]})
    assert (result["changed"], result["restarted"], result["reloaded"]) == (True, False, False)
    assert host.orders() == []
    assert (host.etc / "note").read_text() == "2\n"


def test_companions_are_stopped_before_the_first_unit_starts(host: Host, run_daemon: Run) -> None:
    install(host, run_daemon, check=[])
    run_daemon(host.wanted(check=[], config="config 2\n") | {"units": ["demo.service", "demo@.service"]})
    assert host.orders() == ["stop -- demo@.service", "restart --no-block -- demo.service"]


def test_the_checker_sees_the_host_as_it_will_be_and_touches_no_data(host: Host, run_daemon: Run) -> None:
    install(host, run_daemon)
    result = run_daemon(host.wanted(config="config 2\n", program="program 2"))
    assert not result["failed"]
    assert host.judge == b"program 2"
    assert {name: host.judged[name] for name in ("config", "extra")} == {"config": b"config 2\n", "extra": b"extra 1\n"}
    assert (host.data / "schema").read_text() == "schema 2"  # by the daemon, not by the checker
    (command,) = [each for each in host.orders() if each.startswith("systemd-run")]
    for each in ("PrivateNetwork=yes", "User=demo", "ProtectSystem=strict", "CapabilityBoundingSet= "):
        assert each in command
    assert list((host.root / "run").iterdir()) == []


def test_a_program_that_a_killed_run_left_staged_is_no_judge(host: Host, run_daemon: Run) -> None:
    install(host, run_daemon)
    (host.bin / ".demo.wonder-mesh").write_text("half a program")
    run_daemon(host.wanted(config="config 2\n"))
    assert host.judge == b"program 1"


def test_no_secret_is_in_results_diffs_commands_or_memory(host: Host, run_daemon: Run) -> None:
    results = [run_daemon(host.wanted(), check_mode=True), run_daemon(host.wanted())]
    results += [run_daemon(host.wanted(secret="new-secret")), run_daemon(host.wanted() | {"uploads": {}})]  # noqa: S106
    results += [run_daemon(host.wanted(config="dies", secret="new-secret"))]  # noqa: S106
    results += [run_daemon(host.wanted(state="absent", remove_data=True))]
    told = repr(results) + repr(host.commands)
    assert SECRET not in told
    assert "new-secret" not in told
    assert "(another secret)" in told
