# SPDX-License-Identifier: MIT
"""What a person sees of a run: real runs of ansible-playbook, with and without a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[4]
SECONDS = 60
CANARY = "canary-77aa01"
HOSTS = {
    "edge": {},
    "hub": {},
    "nas": {},
    "gone": {"ansible_connection": "ssh", "ansible_host": "127.0.0.9", "ansible_port": 1},
}
# Raw where any task would do: a module's start takes longer than all else of these runs.
FIRST = [
    {"name": "Reach it", "ansible.builtin.raw": "true", "changed_when": False},
    {"name": "Wait", "ansible.builtin.raw": "sleep 1", "changed_when": False},
    {
        "name": "Write a secret",
        "ansible.builtin.copy": {"content": CANARY, "dest": "{{ playbook_dir }}/secret", "mode": "0600"},
        "diff": True,
        "no_log": True,
        "run_once": True,
    },
]
SECOND = [
    {
        "name": "Say why",
        "ansible.builtin.assert": {
            "that": "inventory_hostname not in ['edge', 'nas']",
            "fail_msg": "found 1, expected 2",
        },
    },
    {
        "name": "Fail with a secret",
        "ansible.builtin.command": {"argv": ["sh", "-c", f"echo {CANARY}; exit 1"]},
        "no_log": True,
    },
]
BOTH = r"Say why, on (edge, nas|nas, edge)\n  found 1, expected 2\n"  # as they come
PLAYS = {"Begin": FIRST, "Go wrong": SECOND}
# Of each outcome one, and no modules.
SHORT = {"Begin": [{"name": "Change", "ansible.builtin.raw": "true"}], "Go wrong": SECOND[:1]}


def environment(directory: Path, more: dict[str, str]) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "LC_ALL": "C.UTF-8",
        "TERM": "xterm-256color",
        "COLUMNS": "100",
        "LINES": "24",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_STDOUT_CALLBACK": "wonder.mesh.progress",
        "ANSIBLE_SSH_RETRIES": "0",
        **more,
    }


def command(directory: Path, *arguments: str, plays: t.Mapping[str, t.Any] = PLAYS) -> list[str]:
    everywhere = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (directory / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": everywhere, "hosts": HOSTS}}))
    book = [{"name": name, "hosts": "all", "gather_facts": False, "tasks": tasks} for name, tasks in plays.items()]
    (directory / "play.yml").write_text(yaml.safe_dump(book))
    return [sys.executable, "-m", "ansible", "playbook", "-i", "hosts.yml", "play.yml", *arguments]


def piped(directory: Path, *arguments: str, **more: str) -> str:
    done = subprocess.run(
        command(directory, *arguments),
        cwd=directory,
        env=environment(directory, more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode != 0, done.stdout
    return done.stdout


def on_terminal(directory: Path, plays: t.Mapping[str, t.Any] = PLAYS, **more: str) -> str:
    """What the run writes to a terminal, as it is written."""
    process, terminal = pty.fork()
    if not process:
        os.chdir(directory)
        words = command(directory, plays=plays)
        os.execve(words[0], words, environment(directory, more))  # noqa: S606
    said, until = b"", time.monotonic() + SECONDS
    try:
        while time.monotonic() < until:
            if select.select([terminal], [], [], 1)[0]:
                said += os.read(terminal, 65536)
    except OSError:  # how Linux says that the other side is closed
        pass
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(terminal)
    return said.decode()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    return piped(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def loud(tmp_path_factory: pytest.TempPathFactory) -> str:
    return piped(tmp_path_factory.mktemp("loud"), "-vvvv", "--diff")


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> str:
    return on_terminal(tmp_path_factory.mktemp("moving"))


def end(text: str) -> str:
    """What comes after the recap."""
    return text[text.rindex("ignored=") :]


def test_plain_lines_have_no_control_characters(plain: str) -> None:
    assert re.findall(r"[\x00-\x09\x0b-\x1f]", plain) == []


def test_plain_lines_tell_how_far_the_run_is(plain: str) -> None:
    shares = [int(share) for share in re.findall(r"^ *[\d:]+ +(\d+)%", plain, re.MULTILINE)]
    assert shares[0] == 0
    assert shares == sorted(shares)
    assert shares[-1] == 80  # the last of five tasks has begun


def test_plain_lines_name_the_play_and_its_number(plain: str) -> None:
    assert "play 2 of 2: Go wrong" in plain


def test_a_change_is_told_with_its_host(plain: str) -> None:
    assert re.search(r"changed +edge: Write a secret", plain)


def test_the_recap_has_the_shape_that_scripts_know(plain: str) -> None:
    assert re.search(r"^gone +: ok=0 +changed=0 +unreachable=1 +failed=0", plain, re.MULTILINE)
    assert re.search(r"^nas +: ok=2 +changed=0 +unreachable=0 +failed=1", plain, re.MULTILINE)


def test_a_failure_of_several_hosts_is_told_once_at_the_end(plain: str) -> None:
    assert re.search(BOTH, end(plain))


def test_a_failure_names_its_task_and_line(plain: str) -> None:
    assert re.search(r"The task is in play\.yml:\d+\.", end(plain))


def test_a_host_out_of_reach_gets_advice(plain: str) -> None:
    assert "--limit 'all,!gone'" in end(plain)


def test_the_last_line_sums_up(plain: str) -> None:
    assert re.match(r"Failed on 4 of 4 hosts, 1 of them changed, after \d:\d\d\.", plain.splitlines()[-1])


def test_what_no_log_hides_is_said_to_be_hidden(plain: str) -> None:
    assert "Fail with a secret, on hub\n  the output has been hidden" in end(plain)


@pytest.mark.parametrize("which", ["plain", "loud", "moving"])
def test_a_secret_is_nowhere(request: pytest.FixtureRequest, which: str) -> None:
    assert CANARY not in request.getfixturevalue(which)


def test_a_loud_run_shows_results(loud: str) -> None:
    assert re.search(r"hub: \n +changed: false\n", loud)


def test_a_difference_is_shown(tmp_path: Path) -> None:
    open_task = [{**FIRST[2], "no_log": False}]
    book = [{"name": "Begin", "hosts": "edge", "gather_facts": False, "tasks": open_task}]
    words = command(tmp_path, "--diff")
    (tmp_path / "play.yml").write_text(yaml.safe_dump(book))
    done = subprocess.run(
        words, cwd=tmp_path, env=environment(tmp_path, {}), capture_output=True, text=True, timeout=SECONDS, check=True
    )
    assert f"+{CANARY}" in done.stdout


def test_a_terminal_shows_what_each_host_is_doing(moving: str) -> None:
    assert re.search(r"nas +\x1b\[1mrunning *\x1b\[0m +Wait +0:0\d", moving)


def test_a_terminal_moves(moving: str) -> None:
    assert "\x1b[1A\x1b[2K" in moving


def test_a_terminal_keeps_its_cursor_even_when_the_run_is_killed(moving: str) -> None:
    assert "\x1b[?25l" not in moving


def test_a_terminal_shows_the_failures_in_full_too(moving: str) -> None:
    assert "found 1, expected 2" in end(moving)


def test_colours_are_off_where_the_user_wants_none(tmp_path: Path) -> None:
    said = on_terminal(tmp_path, SHORT, NO_COLOR="1")
    colours = {code for codes in re.findall(r"\x1b\[([\d;]*)m", said) for code in codes.split(";")}
    assert {"changed", "FAILED", "unreachable"} <= set(said.split())
    assert colours <= {"0", "1", "2", ""}  # bold and faint are no colours


def test_a_terminal_that_cannot_move_lines_gets_plain_ones(tmp_path: Path) -> None:
    said = on_terminal(tmp_path, SHORT, TERM="dumb")
    assert ("\x1b[1A" in said, "play 2 of 2: Go wrong" in said) == (False, True)


def test_an_interrupted_run_still_tells_its_failures(tmp_path: Path) -> None:
    words = command(tmp_path)
    hang = {"ansible.builtin.command": {"argv": ["sh", "-c", f"touch {tmp_path}/at-work; exec sleep 30"]}}
    tasks = [*SECOND[:1], {"name": "Hang", **hang}]
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    with subprocess.Popen(
        words, cwd=tmp_path, env=environment(tmp_path, {}), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            # Not before: Ansible itself hangs when its worker is ended while it tells that a task begins.
            until = time.monotonic() + SECONDS
            while not (tmp_path / "at-work").exists() and time.monotonic() < until:
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=SECONDS)[0]
        finally:
            process.kill()
    assert re.search(BOTH, said)
