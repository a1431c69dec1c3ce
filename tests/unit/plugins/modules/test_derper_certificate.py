# SPDX-License-Identifier: MIT
"""``derper_certificate`` with a real openssl, and what the coordinator says that it publishes."""

from __future__ import annotations

import datetime
import hashlib
import stat
import subprocess
import typing as t

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ansible_collections.wonder.mesh.plugins.module_utils import _derp
from ansible_collections.wonder.mesh.plugins.modules import derper_certificate, headscale_relays_info

if t.TYPE_CHECKING:
    from pathlib import Path

    Run = t.Callable[..., dict[str, t.Any]]

ADDRESS = "203.0.113.12"


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_derp, "CERTIFICATES", str(tmp_path / "derper"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "derper" / f"{ADDRESS}.pem"


def have(run_module: Run, **changes: t.Any) -> dict[str, t.Any]:
    return run_module(derper_certificate.main, **{"hostname": ADDRESS, **changes})


def test_a_relay_makes_a_certificate_for_its_address_that_lasts_ten_years(run_module: Run, file: Path) -> None:
    assert have(run_module)["changed"]
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == [ADDRESS]
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == datetime.timedelta(days=3650)


def test_the_pin_is_the_hash_of_the_certificate(run_module: Run, file: Path) -> None:
    pin = have(run_module)["certificate"]
    der = x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(serialization.Encoding.DER)
    assert pin == f"sha256-raw:{hashlib.sha256(der).hexdigest()}"


def test_the_key_is_for_root_alone_and_in_no_answer(run_module: Run, file: Path) -> None:
    answer = have(run_module, diff=True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    key = serialization.load_pem_private_key(file.read_bytes(), None)
    assert key.public_key() == x509.load_pem_x509_certificate(file.read_bytes()).public_key()
    assert "PRIVATE" not in str(answer)


def test_a_second_run_changes_nothing(run_module: Run, file: Path) -> None:
    first = have(run_module)
    before = file.read_bytes()
    assert have(run_module) == {"failed": False, "changed": False, "certificate": first["certificate"]}
    assert file.read_bytes() == before


def test_a_certificate_that_ends_soon_is_replaced(run_module: Run) -> None:
    first, second = have(run_module), have(run_module, renew_days=3651)
    assert second["changed"]
    assert second["certificate"] != first["certificate"]


def test_check_mode_foretells_a_certificate_and_makes_none(run_module: Run, file: Path) -> None:
    assert have(run_module, check=True)["changed"]
    assert not file.exists()


def test_what_a_killed_run_left_is_cleared_away(run_module: Run, file: Path) -> None:
    left = file.parent / f"{_derp.SCRATCH}x"
    left.mkdir(parents=True)
    (left / "key").touch()
    have(run_module)
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_a_file_without_a_certificate_is_named_and_left(run_module: Run, file: Path) -> None:
    file.parent.mkdir()
    file.write_text("no certificate", encoding="ascii")
    answer = have(run_module)
    assert answer["failed"]
    assert answer["msg"].startswith(f"{file} holds no certificate")
    assert file.read_text(encoding="ascii") == "no certificate"


def test_a_host_without_openssl_is_told_so(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible.module_utils.basic.AnsibleModule.run_command", gone)
    answer = have(run_module)
    assert "openssl, which the host lacks; install it" in answer["msg"]


def gone(*_: t.Any, **__: t.Any) -> t.NoReturn:
    raise FileNotFoundError


def test_one_look_finds_all_certificates(run_module: Run, file: Path) -> None:
    pin = have(run_module)["certificate"]
    (file.parent / "broken.pem").touch()
    found = _derp.certificates(openssl)
    assert {path: each.pin for path, each in found.items()} == {str(file): pin}
    assert found[str(file)].lasts(3649)
    assert not found[str(file)].lasts(3651)


def openssl(command: list[str], **_: t.Any) -> tuple[int, str, str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("regions", [[], None, [{"regionid": 917}]])
def test_the_coordinator_says_what_it_publishes(
    run_module: Run, monkeypatch: pytest.MonkeyPatch, regions: list[dict[str, t.Any]] | None
) -> None:
    monkeypatch.setattr(headscale_relays_info, "published", lambda: regions)
    assert run_module(headscale_relays_info.main)["regions"] == regions
