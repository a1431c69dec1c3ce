# SPDX-License-Identifier: MIT
"""What docs/manual.md writes and calls is what the pinned programs take."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

from tests.programs.control import free_ports, program, running

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.programs.control import Control

SECONDS = 30
MANUAL = (Path(__file__).parents[2] / "docs" / "manual.md").read_text(encoding="utf-8")


def document(name: str) -> str:
    """The text between `<<'NAME'` and NAME, without its indent."""
    (text,) = re.findall(rf"<<'{name}'\n(.*?)\n    {name}\n", MANUAL, re.DOTALL)
    return "\n".join(line.removeprefix("    ") for line in t.cast("str", text).splitlines()) + "\n"


def say(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    with running(tmp_path_factory.mktemp("control")) as control:
        yield control


def headscale(control: Control, *arguments: str) -> str:
    return say(control.binary, "--config", control.config, *arguments)


def test_headscale_takes_its_configuration(tmp_path: Path) -> None:
    text = document("CONFIG").replace("/var/lib/headscale", str(tmp_path)).replace("/run/headscale", str(tmp_path))
    (tmp_path / "config.yaml").write_text(text)
    say(program(tmp_path, "headscale"), "--config", str(tmp_path / "config.yaml"), "configtest")


def test_headscale_takes_its_policy(control: Control, tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text(document("POLICY"))
    headscale(control, "policy", "set", "--file", str(tmp_path / "policy.json"))
    assert control.policy() == json.loads(document("POLICY"))


def test_headscale_makes_a_key_for_one_machine(control: Control) -> None:
    (command,) = re.findall(r"ssh vps headscale (preauthkeys create .*?) \|", MANUAL)
    assert headscale(control, *command.split()).startswith("hskey-auth-")


class Caddy(t.NamedTuple):
    program: str
    config: dict[str, t.Any]


@pytest.fixture
def caddy(tmp_path: Path) -> Caddy:
    """With the configuration that it makes of the manual's."""
    binary, source = program(tmp_path, "caddy"), tmp_path / "Caddyfile"
    source.write_text(document("CADDY"))
    said = subprocess.check_output([binary, "adapt", "--config", str(source)], text=True, timeout=60)
    return Caddy(binary, json.loads(said))


def test_caddy_takes_its_configuration(caddy: Caddy, tmp_path: Path) -> None:
    config = tmp_path / "caddy.json"
    config.write_text(json.dumps(caddy.config))
    said = say("env", f"HOME={tmp_path}", caddy.program, "validate", "--config", str(config))
    assert "Valid configuration" in said


@pytest.fixture
def front(caddy: Caddy, tmp_path: Path) -> Iterator[int]:
    """The port where it serves without TLS, in front of a Headscale that is down."""
    port = free_ports()
    (server,) = caddy.config["apps"]["http"]["servers"].values()
    own = {"listen": [f"127.0.0.1:{port}"], "automatic_https": {"disable": True}, "routes": server["routes"]}
    config = {"admin": {"disabled": True}, "apps": {"http": {"servers": {"front": own}}}}
    text = json.dumps(config).replace("127.0.0.1:8080", f"127.0.0.1:{port + 1}")
    (tmp_path / "front.json").write_text(text)
    command = ["env", f"HOME={tmp_path}", caddy.program, "run", "--config", str(tmp_path / "front.json")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + SECONDS
        while process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield port
        process.terminate()


def test_caddy_passes_on_what_nodes_ask_and_nothing_else(front: int) -> None:
    def status(path: str) -> int:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", front, timeout=SECONDS)) as connection:
            connection.request("GET", path, headers={"Host": "vps.example.com"})
            return connection.getresponse().status

    asked = {
        path: status(path) for path in ("/health", "/key", "/windows", "/api/v1/node", "/swagger", "/metrics", "/")
    }
    assert asked == {
        "/health": 502,  # nobody is there who could answer
        "/key": 502,
        "/windows": 502,
        "/api/v1/node": 404,
        "/swagger": 404,
        "/metrics": 404,
        "/": 404,
    }


CALLS = re.findall(r"\b((?:headscale|tailscale) [a-z ]+ --[^\n|;']*)", MANUAL.replace("\\\n", " "))


@pytest.mark.parametrize("line", sorted(set(CALLS)))
def test_a_program_knows_the_options(control: Control, tmp_path: Path, line: str) -> None:
    """Of each of its calls."""
    name, *words = line.split()
    options = [word for word in words if word.startswith("--")]
    verbs = words[: words.index(options[0])]
    binary = control.binary if name == "headscale" else program(tmp_path, "tailscale", "tailscale")
    assert set(options) - set(re.findall(r"--[\w-]+", say(binary, *verbs, "--help"))) == set()
