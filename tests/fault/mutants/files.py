# SPDX-License-Identifier: MIT
"""Files that an inventory may name: certificates that are right and wrong, and programs that are none."""

from __future__ import annotations

import datetime
import hashlib
import typing as t
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

if t.TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

NAME = "vps.wm.test"
YEAR = datetime.timedelta(days=365)


def make_files(folder: Path) -> dict[str, Path]:
    """Make them all; where they are, by name. The name "sha256 of X" leads to a path whose name is X's hash."""
    now = datetime.datetime.now(datetime.UTC)
    keys: dict[str, CertificateIssuerPrivateKeyTypes] = {
        "elliptic": ec.generate_private_key(ec.SECP256R1()),
        "expired": ec.generate_private_key(ec.SECP256R1()),
        "future": ec.generate_private_key(ec.SECP256R1()),
        "elsewhere": ec.generate_private_key(ec.SECP256R1()),
        "edwards": ed25519.Ed25519PrivateKey.generate(),
        "rivest": rsa.generate_private_key(65537, 2048),
        "dsa": dsa.generate_private_key(2048),  # Go reads no such key, so Caddy refuses it
    }
    starts = {"expired": now - 2 * YEAR, "future": now + YEAR}
    for name, key in keys.items():
        host = "other.example.net" if name == "elsewhere" else NAME
        _put(folder / f"{name}.pem", _certificate(key, host, starts.get(name, now - YEAR / 2)))
        _put(folder / f"{name}.key", _private(key, None))
    elliptic = keys["elliptic"]
    _put(folder / "locked.pem", (folder / "elliptic.pem").read_bytes())
    _put(folder / "locked.key", _private(elliptic, b"secret"))
    _put(folder / "torn.pem", (folder / "elliptic.pem").read_bytes()[:200])
    _put(folder / "torn.key", _private(elliptic, None)[:100])
    _put(folder / "empty.pem", b"")
    _put(folder / "binary.pem", bytes(range(256)))
    for name in ("true", "false"):  # they are Linux programs and no daemons
        _put(folder / f"program-{name}", Path(f"/bin/{name}").read_bytes())
    _put(folder / "program-text", b"#!/bin/sh\nexit 0\n")
    _put(folder / "program-empty", b"")
    found = {path.name: path for path in sorted(folder.iterdir())}
    sums = {f"sha256 of {name}": Path(hashlib.sha256(path.read_bytes()).hexdigest()) for name, path in found.items()}
    return found | sums


def _certificate(key: CertificateIssuerPrivateKeyTypes, host: str, start: datetime.datetime) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + YEAR)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, digest)
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: CertificateIssuerPrivateKeyTypes, password: bytes | None) -> bytes:
    cipher = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, cipher)


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
