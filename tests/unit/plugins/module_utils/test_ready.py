# SPDX-License-Identifier: MIT

from __future__ import annotations

import http.server
import socket
import ssl
import threading
import types
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.module_utils import _ready
from ansible_collections.wonder.mesh.plugins.module_utils._daemon import DaemonError
from ansible_collections.wonder.mesh.plugins.module_utils._ready import wait_until_ready
from ansible_collections.wonder.mesh.plugins.module_utils._systemd import UnitState
from fleet.authority import Authority

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UP = UnitState("active", "running", True, 0, "success", False)
STARTING = UnitState("activating", "start", True, 0, "success", False)
FAILED = UnitState("failed", "failed", True, 0, "exit-code", False)
AGAIN = UnitState("activating", "auto-restart", True, 1, "exit-code", False)


class States:
    """A systemd that answers with these states, and with the last one for ever."""

    def __init__(self, *states: UnitState) -> None:
        self.left = list(states)

    def state(self, _unit: str) -> UnitState:
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """Time passes only while somebody sleeps."""
    clock = types.SimpleNamespace(now=100.0)

    def sleep(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr(_ready, "time", types.SimpleNamespace(monotonic=lambda: clock.now, sleep=sleep))
    return clock


def wait(*states: UnitState, restarts: int = 0, **ready: t.Any) -> None:
    wait_until_ready(t.cast("t.Any", States(*states)), "demo.service", ready, restarts)


@pytest.fixture
def url() -> Iterator[str]:
    """Answers 503 the first time, then 200; to /never always 503."""
    answers = iter([503])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503 if self.path == "/never" else next(answers, 200))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: t.Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_without_a_probe_it_must_stay_up(clock: types.SimpleNamespace) -> None:
    wait(STARTING, UP)
    assert clock.now - 100 >= 0.5


def test_one_that_goes_down_again_must_stay_up_anew(clock: types.SimpleNamespace) -> None:
    wait(*[UP] * 8, *[STARTING] * 2, UP)
    assert clock.now - 100 >= 1.0


@pytest.mark.parametrize("state", [FAILED, AGAIN])
def test_one_that_dies_is_not_waited_for(clock: types.SimpleNamespace, state: UnitState) -> None:
    with pytest.raises(DaemonError, match=r"demo.service died while starting \(exit-code\)"):
        wait(UP, state)
    assert clock.now - 100 < 0.2


def test_restarts_of_an_earlier_day_do_not_count() -> None:
    wait(UnitState("active", "running", True, 3, "success", False), restarts=3)


@pytest.mark.parametrize(
    ("state", "ready", "why"),
    [
        (STARTING, {}, r"the unit is activating \(start\)"),
        (UP, {"socket": "/nonexistent"}, "/nonexistent does not answer"),
        (UP, {"url": "http://127.0.0.1:9/health"}, "http://127.0.0.1:9/health does not answer"),
    ],
)
def test_the_wait_ends_and_says_why(state: UnitState, ready: dict[str, t.Any], why: str) -> None:
    with pytest.raises(DaemonError, match=f"demo.service was not ready within 3 s: {why}"):
        wait(state, timeout=3, **ready)


def test_a_page_must_answer_200(url: str, clock: types.SimpleNamespace) -> None:
    wait(UP, url=url + "/health")
    assert clock.now > 100
    with pytest.raises(DaemonError, match="/never answers 503"):
        wait(UP, url=url + "/never", timeout=1)


def test_a_proxy_of_the_environment_is_not_asked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    wait(UP, url=url)


def test_something_that_does_not_speak_http_is_not_ready() -> None:
    def answer(server: socket.socket) -> None:
        client, _ = server.accept()
        with client:
            client.recv(1024)
            client.sendall(b"SSH-2.0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,))
        thread.start()
        port = server.getsockname()[1]
        assert "does not answer" in _ready._ask({"url": f"http://127.0.0.1:{port}/"})
        thread.join()


def test_a_socket_must_accept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a Unix socket is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        with pytest.raises(DaemonError, match="s does not answer"):
            wait(UP, socket="s", timeout=1)
        server.listen()
        wait(UP, socket="s")


@pytest.fixture
def front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Authority]:
    """A server of vps.example.com on port 443 of this host, and the authority of its certificate."""
    authority = Authority("those who know it")
    (tmp_path / "both.pem").write_text("".join(authority.issue(["vps.example.com"])))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.setattr(_ready, "HTTPS", server.server_address[1])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield authority
    server.shutdown()
    server.server_close()


def trust(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.create_default_context(cadata=authority.certificate)
    monkeypatch.setattr(ssl, "create_default_context", lambda: context)


def test_a_certificate_that_the_host_trusts_is_right(front: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    trust(front, monkeypatch)
    wait(UP, https="vps.example.com")


@pytest.mark.usefixtures("front")
def test_a_certificate_that_nobody_trusts_is_none() -> None:
    with pytest.raises(DaemonError, match=r"certificate for vps.example.com that this host does not trust"):
        wait(UP, https="vps.example.com")


def test_a_certificate_for_another_name_is_none(front: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    trust(front, monkeypatch)
    with pytest.raises(DaemonError, match=r"other.example.com.* Hostname mismatch"):
        wait(UP, https="other.example.com")


def test_a_certificate_that_is_yet_to_be_had_is_waited_for_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        monkeypatch.setattr(_ready, "HTTPS", closed.getsockname()[1])
    wait(UP, https="vps.example.com")
