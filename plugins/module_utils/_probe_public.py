# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""What anybody on the internet can ask: URLs and open ports."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
import typing as t
import urllib.parse

from ansible_collections.wonder.mesh.plugins.module_utils._probe_dial import Dialer
from ansible_collections.wonder.mesh.plugins.module_utils._probe_protocol import describe
from ansible_collections.wonder.mesh.plugins.module_utils._probe_stun import StunError, ask

URL_SECONDS = 6.0
PORT_SECONDS = 3.0


class Fetcher:
    """GETs URLs without following redirects; certificates that are not private are checked by the system's store."""

    def __init__(self) -> None:
        self._context = ssl.create_default_context()
        self._private = ssl.create_default_context()
        self._private.check_hostname = False
        self._private.verify_mode = ssl.CERT_NONE

    def __call__(self, name: str, url: str, private: bool = False, address: str = "") -> dict[str, t.Any]:
        """One item of the module's ``urls``: any status is an answer, only no answer is an error."""
        result = {"name": name, "url": url, "address": address, "status": None, "location": "", "ms": 0.0, "error": ""}
        begin = time.monotonic()
        try:
            answer = self._get(url, self._private if private else self._context, address)
            result["status"], result["location"] = answer.status, answer.getheader("Location", "")
        except (OSError, http.client.HTTPException, ValueError) as exc:
            result["error"] = f"no answer from {url}: {describe(exc)}"
        result["ms"] = round((time.monotonic() - begin) * 1000, 1)
        return result

    def _get(self, url: str, context: ssl.SSLContext, address: str) -> http.client.HTTPResponse:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the URL must begin with https:// or http:// and name a host")
        connection = (
            _Secure(parts.hostname, parts.port, context, address)
            if parts.scheme == "https"
            else http.client.HTTPConnection(parts.hostname, parts.port, timeout=URL_SECONDS)
        )
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request("GET", target, headers={"User-Agent": "wonder-mesh-probe", "Connection": "close"})
            answer = connection.getresponse()
            answer.close()
        finally:
            connection.close()
        return answer


class _Secure(http.client.HTTPSConnection):
    """A connection for that name to that address, "" for the name's own one."""

    def __init__(self, host: str, port: int | None, context: ssl.SSLContext, address: str) -> None:
        super().__init__(host, port, timeout=URL_SECONDS, context=context)
        self._tls, self._place = context, address or host

    def connect(self) -> None:
        sock = socket.create_connection((self._place, self.port), URL_SECONDS)
        self.sock = self._tls.wrap_socket(sock, server_hostname=self.host)


def probe_port(name: str, address: str, port: int, protocol: str) -> dict[str, t.Any]:
    """One item of the module's ``ports``; ``protocol`` is ``tcp`` (a connect) or ``stun`` (a valid answer over UDP)."""
    error = ""
    try:
        if protocol == "stun":
            ask(address, port)
        else:
            Dialer()(address, port, PORT_SECONDS).close()
    except (OSError, StunError) as exc:
        error = describe(exc)
    return {"name": name, "address": address, "port": port, "protocol": protocol, "open": not error, "error": error}
