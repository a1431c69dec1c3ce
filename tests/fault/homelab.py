# SPDX-License-Identifier: MIT
"""What a homelab may have besides: a relay, a login for people, names by DNS, passwords, an authority of its own."""

from __future__ import annotations

import base64
import json
import secrets
import string
import typing as t

if t.TYPE_CHECKING:
    from pathlib import Path

BCRYPT = string.ascii_letters + string.digits


def homelab(place: Path, certificates: Path, server: str, node: str) -> tuple[Path, set[str]]:
    """An inventory in this directory, to be read beside a fleet's own, and the secrets in it, which are new ones.

    certificates: where the fleet has those of its hosts.
    """
    login, name = secrets.token_hex(24), base64.b64encode(secrets.token_bytes(32)).decode()
    password = "$2a$10$" + "".join(secrets.choice(BCRYPT) for _ in range(53))
    hello = {"name": "hello", "host": "hello.wm.test", "port": 8000, "basic_auth": ["alice"]}
    inner = {"name": "inner", "host": "inner.wm.test", "port": 8000, "certificate": "internal"}
    public = {
        "headscale_oidc": {"issuer": "https://127.0.0.1:9", "client_id": "mesh", "allowed_users": ["alice@wm.test"]},
        "headscale_oidc_secret": login,
        "caddy_acme_dns": {"provider": "rfc2136", "server": "127.0.0.1", "key_name": "mesh"},
        "caddy_acme_dns_secret": name,
        "caddy_users": {"alice": password},
        "derper_certificate": {"certificate": f"{certificates}/{server}.pem", "key": f"{certificates}/{server}.key"},
    }
    hosts = {server: public, node: {"mesh_services": [hello, inner]}}
    inventory = {"all": {"hosts": hosts, "children": {"relays": {"hosts": {server: {}}}}}}
    file = place / "homelab.yml"
    file.touch(mode=0o600)
    file.write_text(json.dumps(inventory), encoding="utf-8")
    return file, {login, name, password}
