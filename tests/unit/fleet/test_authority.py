# SPDX-License-Identifier: MIT
"""The fleet's certificates, judged by another program."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from fleet.authority import Authority, write_private


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
@pytest.mark.parametrize(("name", "good"), [("edge.wm.test", True), ("hello.wm.test", True), ("other.wm.test", False)])
def test_openssl_accepts_a_certificate_for_its_names_only(tmp_path: Path, name: str, good: bool) -> None:
    authority = Authority("test")
    certificate, _key = authority.issue(["edge.wm.test", "hello.wm.test"])
    (tmp_path / "ca.pem").write_text(authority.certificate, encoding="ascii")
    (tmp_path / "edge.pem").write_text(certificate, encoding="ascii")
    judge = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", name]
    done = subprocess.run([*judge, "-CAfile", "ca.pem", "edge.pem"], cwd=tmp_path, capture_output=True, timeout=30)
    assert (done.returncode == 0) == good


def test_a_private_file_is_never_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("old", encoding="ascii")
    path.chmod(0o644)
    write_private(path, "new")
    assert (path.read_text(encoding="ascii"), path.stat().st_mode & 0o777) == ("new", 0o600)
