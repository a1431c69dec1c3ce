# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""Headscale's REST API, spoken on the coordinator's loopback with an API key that never leaves that host."""

from __future__ import annotations

import contextlib
import http
import json
import os
import time
import typing as t
import urllib.parse

from ansible_collections.wonder.mesh.plugins.module_utils._files import write_atomically
from ansible_collections.wonder.mesh.plugins.module_utils._headscale_rest import at_rest

if t.TYPE_CHECKING:
    from collections.abc import Callable

    RunCommand = Callable[..., tuple[int, str, str]]

POLICY = "/api/v1/policy"
NODES = "/api/v1/node"
KEY_FILE = "/var/lib/wonder-mesh/headscale/api_key.json"
KEY_LIFETIME = 90  # days
KEY_RENEWAL = 30  # days before its end
DAY = 24 * 60 * 60

# Shared by the modules that speak to Headscale.
CONNECTION: dict[str, t.Any] = {
    "url": {"type": "str", "default": "http://127.0.0.1:8080"},
    "binary": {"type": "path", "default": "/usr/local/bin/headscale"},
    "config": {"type": "path", "default": "/etc/headscale/config.yaml"},
}
DATABASE: dict[str, t.Any] = {"type": "path", "default": "/var/lib/headscale/db.sqlite"}


class HeadscaleError(Exception):
    """Headscale refused, or does not answer; the message holds no key."""


class ApiError(HeadscaleError):
    """Headscale's own answer to a request that it refused."""

    def __init__(self, status: int, message: str, request: str) -> None:
        super().__init__(f"Headscale answered {request} with {status}: {message}")
        self.status = status
        self.reason = message


class Headscale:
    """A connection to one Headscale. ``may_write`` is false in check mode: then no key is made."""

    def __init__(self, run_command: RunCommand, params: t.Mapping[str, t.Any], *, may_write: bool) -> None:
        self._run_command = run_command
        self._url = urllib.parse.urlsplit(params["url"])
        self._binary = params["binary"]
        self._config = params["config"]
        self._database = params.get("database", "")
        self._may_write = may_write

    @property
    def has_lasting_key(self) -> bool:
        """Whether this host has an API key that need not be renewed yet."""
        kept = _kept_key()
        return kept is not None and kept["expires"] - time.time() > KEY_RENEWAL * DAY

    def read(self, path: str) -> t.Any:
        """The answer to GET. In check mode Headscale may be down: then what it will answer once it runs."""
        try:
            return self.call("GET", path)
        except HeadscaleError as exc:
            refused = isinstance(exc, ApiError) and exc.status != http.HTTPStatus.UNAUTHORIZED
            if self._may_write or refused:
                raise
            return at_rest(self._database, path)

    def call(self, method: str, path: str, body: t.Mapping[str, t.Any] | None = None) -> t.Any:
        """The decoded answer to a request; ApiError when Headscale refuses it."""
        status, answer = self._send(method, path, body, self._key())
        if status == http.HTTPStatus.UNAUTHORIZED and self._may_write:
            # The key in the file is of another database: a restored one, say.
            status, answer = self._send(method, path, body, self._make_key())
        try:
            decoded = json.loads(answer or b"{}")
        except ValueError:
            decoded = {"message": answer.decode("utf-8", "replace")[:500]}
        if status != http.HTTPStatus.OK:
            message = decoded.get("message") or decoded.get("detail") or "no reason given"
            raise ApiError(status, message, f"{method} {path}")
        return decoded

    def _send(self, method: str, path: str, body: t.Mapping[str, t.Any] | None, key: str) -> tuple[int, bytes]:
        import http.client  # here, since it takes time, and every host that is looked at imports this module

        connection = http.client.HTTPConnection(self._url.hostname or "127.0.0.1", self._url.port or 80, timeout=30)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as exc:
            where = self._url.geturl()
            raise HeadscaleError(
                f"Headscale does not answer on {where}: {exc}. Is headscale.service running?"
            ) from None
        finally:
            connection.close()

    def _key(self) -> str:
        """The API key of this host, made or renewed when needed."""
        if self.has_lasting_key or not self._may_write:
            kept = _kept_key()
            if kept is None:
                raise HeadscaleError(f"there is no API key in {KEY_FILE} yet, and check mode makes none")
            return str(kept["key"])
        return self._make_key()

    def _make_key(self) -> str:
        command = [self._binary, "--config", self._config, "apikeys", "create", "--expiration", f"{KEY_LIFETIME}d"]
        rc, out, err = self._run_command(["timeout", "30", *command, "--output", "json"])
        if rc != 0:
            raise HeadscaleError(f"`headscale apikeys create` failed: {err.strip()}")
        key = str(json.loads(out))
        os.makedirs(os.path.dirname(KEY_FILE), mode=0o700, exist_ok=True)
        expires = time.time() + KEY_LIFETIME * DAY
        write_atomically(KEY_FILE, json.dumps({"key": key, "expires": int(expires)}).encode())
        return key


def _kept_key() -> dict[str, t.Any] | None:
    """The key and when it expires (seconds since 1970), if there is one in the file and it is not damaged."""
    try:
        with open(KEY_FILE, encoding="utf-8") as stream:
            kept = json.load(stream)
        return {"key": str(kept["key"]), "expires": float(kept["expires"])}
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return None


def current_policy(headscale: Headscale) -> t.Any:
    """The policy in force, as data; its own text when it is not plain JSON (a person's HuJSON), None without one."""
    try:
        text = headscale.read(POLICY).get("policy", "")
    except ApiError as exc:
        # Before the first policy, 0.29 answers 500 and a later one 404.
        if exc.status in (404, 500) and "not found" in str(exc):
            return None
        raise
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return text
