# SPDX-License-Identifier: MIT

"""People who log in to a real Headscale: their issuer, their devices, and their browser."""

from __future__ import annotations

import contextlib
import html
import http.cookiejar
import json
import os
import re
import shlex
import subprocess
import time
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from tests.programs.control import program

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.programs.control import Control

PATIENCE = 30  # seconds


def user(name: str, *groups: str, verified: bool = True) -> dict[str, t.Any]:
    """A person as the issuer knows her."""
    return {
        "Subject": f"subject-{name}",
        "Email": f"{name}@example.com",
        "EmailVerified": verified,
        "PreferredUsername": name,
        "Groups": list(groups),
    }


@contextlib.contextmanager
def issuer(headscale: str, port: int, client: tuple[str, str], people: list[dict[str, t.Any]]) -> Iterator[str]:
    """Headscale's own issuer for tests, to which these people log in one after the other. Its address."""
    environment = {
        **os.environ,
        "MOCKOIDC_CLIENT_ID": client[0],
        "MOCKOIDC_CLIENT_SECRET": client[1],
        "MOCKOIDC_ADDR": "127.0.0.1",
        "MOCKOIDC_PORT": str(port),
        "MOCKOIDC_USERS": json.dumps(people),
    }
    url = f"http://127.0.0.1:{port}/oidc"
    process = subprocess.Popen(
        [headscale, "mockoidc"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + PATIENCE
        while not _answers(f"{url}/.well-known/openid-configuration"):
            assert time.monotonic() < until
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


class Device:
    """A tailscaled without TUN and without root."""

    def __init__(self, place: Path, control: Control) -> None:
        self._place, self._control = place, control
        self._socket = place / "socket"

    def ask_to_join(self, name: str) -> str:
        """Say that it wants to join; the address that its owner is sent to."""
        self._up(f"--hostname={name}", "--timeout=2s", check=False)
        until = time.monotonic() + PATIENCE
        while not self.status().get("AuthURL"):
            assert time.monotonic() < until, self.status()
            time.sleep(0.1)
        return str(self.status()["AuthURL"])

    def join(self, name: str, key: str) -> None:
        """Join as a machine, with a key."""
        file = self._place / "key"
        file.write_text(key)
        self._up(f"--hostname={name}", f"--auth-key=file:{file}", f"--timeout={PATIENCE}s", check=True)

    def status(self) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", json.loads(self._ask("status", "--json").stdout))

    def is_running(self) -> bool:
        """Whether it is in the mesh, or comes to be in time."""
        until = time.monotonic() + PATIENCE
        while self.status()["BackendState"] != "Running":
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        return True

    def set(self, *flags: str) -> None:
        done = self._ask("set", *flags)
        assert done.returncode == 0, done.stderr

    def command(self, *arguments: str) -> str:
        """How to run tailscale there, for a shell."""
        return shlex.join([str(self._place / "tailscale"), f"--socket={self._socket}", *arguments])

    def _up(self, *arguments: str, check: bool) -> None:
        done = self._ask("up", f"--login-server={self._control.url}", "--accept-dns=false", *arguments)
        assert not check or done.returncode == 0, done.stderr

    def _ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = shlex.split(self.command(*arguments))
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=2 * PATIENCE)


@contextlib.contextmanager
def device(place: Path, control: Control) -> Iterator[Device]:
    """One that runs meanwhile, in a directory of its own."""
    program(place, "tailscale", "tailscale")
    command = [
        program(place, "tailscale", "tailscaled"),
        "--tun=userspace-networking",
        "--port=0",
        f"--statedir={place}",
    ]
    environment = {**os.environ, "TS_NO_LOGS_NO_SUPPORT": "1"}
    if control.url.startswith("http:"):
        environment["TS_DEBUG_USE_DERP_HTTP"] = "1"
    with (place / "log").open("w") as log:
        process = subprocess.Popen([*command, f"--socket={place / 'socket'}"], env=environment, stdout=log, stderr=log)
        try:
            until = time.monotonic() + PATIENCE
            while not (place / "socket").exists():
                assert time.monotonic() < until, (place / "log").read_text()
                time.sleep(0.1)
            yield Device(place, control)
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)


def log_in(url: str) -> int:
    """Follow the address as a browser does, and say yes to what is asked; the status of the last page."""
    cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    browser = urllib.request.build_opener(cookies)
    try:
        with browser.open(url, timeout=PATIENCE) as page:
            here, text = page.url, page.read().decode()
        form = re.search(r'<form[^>]*action="([^"]+)"', text)
        if form is None:
            return int(page.status)
        fields = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', text))
        target = urllib.parse.urljoin(here, html.unescape(form[1]))
        with browser.open(target, urllib.parse.urlencode(fields).encode(), timeout=PATIENCE) as page:
            return int(page.status)
    except urllib.error.HTTPError as exc:
        return exc.code
