# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""The certificates that relays made for themselves."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import re
import shutil
import tempfile
import time
import typing as t

if t.TYPE_CHECKING:
    RunCommand = t.Callable[..., tuple[int, str, str]]

CERTIFICATES = "/etc/derper"
CERTIFICATE_DAYS = 3650  # a pin needs no short life, and one that ends takes its relay with it
DAY = 24 * 3600
SCRATCH = ".new-"
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
# What derper leaves of a hostname in the names of its files.
UNSAFE = re.compile(r"[^a-zA-Z0-9.-]")
ARGUMENTS: dict[str, t.Any] = {
    "hostname": {"type": "str", "required": True},
    "renew_days": {"type": "int", "default": 90},
}


class DerpError(Exception):
    """A certificate cannot be made or read; the message says what to do."""


class Certificate(t.NamedTuple):
    """One that a relay shows: its pin, as a DERP map has it, and when it ends (seconds since 1970)."""

    pin: str
    ends: int

    def lasts(self, days: int) -> bool:
        return self.ends > time.time() + days * DAY


def file_of(hostname: str) -> str:
    """Where a host keeps the certificate for this name or address, and its key in the same file."""
    return os.path.join(CERTIFICATES, f"{UNSAFE.sub('', hostname)}.pem")


def certificates(run_command: RunCommand) -> dict[str, Certificate]:
    """Those on the host by their files; one that cannot be read is left out."""
    found = {}
    for path in sorted(glob.glob(os.path.join(CERTIFICATES, "*.pem"))):
        with contextlib.suppress(DerpError, OSError):
            found[path] = read(path, run_command)
    return found


def read(path: str, run_command: RunCommand) -> Certificate:
    """The certificate in a file. Raises FileNotFoundError, or DerpError for what is none."""
    import ssl  # here, since it takes time, and every host that is looked at imports this module

    with open(path, encoding="ascii", errors="replace") as stream:
        text = stream.read()
    status, out, err = _openssl(run_command, "x509", "-in", path, "-noout", "-enddate")
    try:
        der = ssl.PEM_cert_to_DER_cert(text[text.index(BEGIN) : text.index(END) + len(END)])
        ends = ssl.cert_time_to_seconds(out.partition("=")[2].strip())
    except ValueError:
        said = err.strip() if status else "openssl says no date"
        raise DerpError(f"{path} holds no certificate ({said}); remove it, and run again") from None
    return Certificate(f"sha256-raw:{hashlib.sha256(der).hexdigest()}", ends)


def make(hostname: str, run_command: RunCommand) -> None:
    """Put a new key and a certificate for the address into its file, whole or not at all."""
    os.makedirs(CERTIFICATES, mode=0o700, exist_ok=True)
    for left in glob.glob(os.path.join(CERTIFICATES, f"{SCRATCH}*")):  # by a run that was killed
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=CERTIFICATES) as scratch:
        key, certificate = os.path.join(scratch, "key"), os.path.join(scratch, "certificate")
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", str(CERTIFICATE_DAYS)]
        subject = ["-subj", f"/CN={hostname}", "-addext", f"subjectAltName=IP:{hostname}"]
        status, _out, err = _openssl(run_command, "req", "-x509", *kind, *subject, "-keyout", key, "-out", certificate)
        if status != 0:
            raise DerpError(f"openssl made no certificate for {hostname}: {err.strip()}")
        whole = os.path.join(scratch, "whole")
        with open(whole, "w", encoding="ascii") as stream:
            for part in (certificate, key):
                with open(part, encoding="ascii") as source:
                    stream.write(source.read())
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(whole, file_of(hostname))


def _openssl(run_command: RunCommand, *arguments: str) -> tuple[int, str, str]:
    try:
        return run_command(["openssl", *arguments], handle_exceptions=False)
    except OSError:
        raise DerpError("a relay makes its certificate with openssl, which the host lacks; install it") from None
