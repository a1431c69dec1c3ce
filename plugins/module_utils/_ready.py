# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""When a daemon that was started is ready: its unit stays up, and it answers."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
import typing as t
import urllib.parse

from ansible_collections.wonder.mesh.plugins.module_utils._daemon import DaemonError

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.module_utils._systemd import Systemd

HTTPS = 443
PROBES = ("url", "socket", "port")
PAUSE = 0.05  # seconds between two looks
STEADY = 0.5  # seconds that a unit without a probe must stay up before it counts as ready


def wait_until_ready(systemd: Systemd, unit: str, ready: t.Mapping[str, t.Any], restarts: int) -> None:
    """Wait until ``unit`` is up and its probe answers; DaemonError when it dies or does not answer in time.

    ``ready`` may hold ``url`` (http, answers 200), ``socket`` (a Unix socket that accepts), ``port`` (a TCP port that
    accepts on loopback) and ``timeout`` (seconds). For the name ``https``, if given, port 443 must not show a
    certificate that this host does not trust.
    ``restarts`` is how often systemd had restarted the unit before.
    """
    timeout = float(ready.get("timeout") or 30)
    deadline = time.monotonic() + timeout
    up_since: float | None = None
    answer = "it was not asked yet"
    while True:
        state = systemd.state(unit)
        if state.active == "failed" or state.restarts > restarts:
            raise DaemonError(f"{unit} died while starting ({state.result})")
        if state.active != "active":
            up_since, answer = None, f"the unit is {state.active} ({state.sub})"
        else:
            up_since = up_since or time.monotonic()
            answer = _ask(ready)
            if not answer and (_has_probe(ready) or time.monotonic() - up_since >= STEADY):
                _look_at_certificate(unit, ready.get("https") or "")
                return
        if time.monotonic() > deadline:
            raise DaemonError(f"{unit} was not ready within {timeout:.0f} s: {answer or 'it did not stay up'}")
        time.sleep(PAUSE)


def _has_probe(ready: t.Mapping[str, t.Any]) -> bool:
    return any(map(ready.get, PROBES))


def _ask(ready: t.Mapping[str, t.Any]) -> str:
    """Why the daemon does not count as ready; empty when it answered, or nothing is to be asked."""
    try:
        if ready.get("url"):
            status = _get_status(ready["url"])
            if status != http.HTTPStatus.OK:
                return f"{ready['url']} answers {status}"
        if ready.get("socket"):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(2)
                client.connect(ready["socket"])
        if ready.get("port"):
            socket.create_connection(("127.0.0.1", ready["port"]), timeout=2).close()
    except (OSError, http.client.HTTPException) as exc:
        return f"{next(filter(None, map(ready.get, PROBES)))} does not answer ({exc})"
    return ""


def _look_at_certificate(unit: str, name: str) -> None:
    """DaemonError if there is one for this name that nobody can trust. None at all is left to the proof."""
    if not name:
        return
    context = ssl.create_default_context()
    try:
        with socket.create_connection(("127.0.0.1", HTTPS), timeout=5) as plain:
            context.wrap_socket(plain, server_hostname=name).close()
    except ssl.SSLCertVerificationError as exc:
        raise DaemonError(
            f"{unit} shows a certificate for {name} that this host does not trust: {exc.verify_message}. Nodes would "
            "not trust it either. Use a certificate for that name from an authority that all of them know."
        ) from None
    except OSError:
        return


def _get_status(url: str) -> int:
    # http.client and not urllib: a proxy from the environment has no say in what happens on loopback.
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=2)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status
    finally:
        connection.close()
