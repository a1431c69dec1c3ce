# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""What a machine that Ansible does not manage imports: a configuration as wg-quick and the apps read it, and a QR code.

It holds the machine's private key, which is made here because nobody else can make it; nothing of it is ever printed.
"""

from __future__ import annotations

import base64
import io
import os
import re
import typing as t

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_types import Table

PRIVATE = re.compile(r"^PrivateKey *= *([A-Za-z0-9+/]{43}=) *$", re.MULTILINE | re.ASCII)
KEEPALIVE = 25  # seconds; nobody knows what a client is behind
SCALE = 4  # pixels of a dot of a QR code


def make_key() -> str:
    """A new private key."""
    return base64.b64encode(X25519PrivateKey.generate().private_bytes_raw()).decode()


def key_in(configuration: str) -> str | None:
    """The private key in a configuration; None if it has none."""
    found = PRIVATE.search(configuration)
    return found[1] if found else None


def public_key(private: str) -> str:
    """ValueError if it is none."""
    key = X25519PrivateKey.from_private_bytes(base64.b64decode(private))
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def configuration(table: Table, private: str, preshared: Mapping[str, str]) -> str:
    """preshared: the pre-shared keys by the names of peers."""
    lines = [
        "[Interface]",
        f"PrivateKey = {private}",
        f"Address = {', '.join(table['addresses'])}",
        f"MTU = {table['mtu']}",
    ]
    for peer in table["peers"]:
        lines += ["", f"# {peer['name']}", "[Peer]", f"PublicKey = {peer['public_key']}"]
        if peer["preshared"]:
            lines.append(f"PresharedKey = {preshared[peer['name']]}")
        lines.append(f"AllowedIPs = {', '.join(peer['allowed_ips'])}")
        if peer["endpoint"] is not None:
            lines += [f"Endpoint = {peer['endpoint']}", f"PersistentKeepalive = {KEEPALIVE}"]
    return "\n".join([*lines, ""])


def pictures(text: str) -> dict[str, bytes]:
    """The QR code by the ending of its file: a picture, and text for a terminal. ValueError if the text is too long."""
    import segno

    code = segno.make(text, error="l", micro=False)
    picture, terminal = io.BytesIO(), io.StringIO()
    code.save(picture, kind="png", scale=SCALE)
    code.terminal(terminal, compact=True)
    return {".png": picture.getvalue(), ".txt": terminal.getvalue().encode()}


def write_private(path: str, content: bytes) -> bool:
    """Write what its owner alone may read; whether that changed anything."""
    try:
        with open(path, "rb") as stream:
            if stream.read() == content and os.fstat(stream.fileno()).st_mode & 0o777 == 0o600:
                return False
    except FileNotFoundError:
        pass
    temporary = f"{path}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)
    return True
