# SPDX-License-Identifier: MIT
"""In which forms a secret is looked for."""

from __future__ import annotations

import base64

import pytest

from tests.fault.sweep import forms

HEX = "9f" * 32
PRIVATE = f"privkey:{HEX}"
PEM = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n/QgwEHBG0wawIBAQQgQyX3\nab==\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    "leak",
    [
        PRIVATE.encode(),
        HEX.encode(),
        HEX.upper().encode(),
        bytes.fromhex(HEX),
        base64.b64encode(bytes.fromhex(HEX)),
        base64.urlsafe_b64encode(bytes.fromhex(HEX)),
        *(base64.b64encode(f"{'x' * shift}{PRIVATE}{'y' * shift}".encode()) for shift in range(6)),
        PRIVATE.encode().hex().encode(),
    ],
)
def test_a_key_is_found_in_this_form(leak: bytes) -> None:
    assert any(form in b"before " + leak + b" after" for form in forms(PRIVATE))


def test_a_certificate_s_key_is_found_by_any_of_its_lines_but_a_short_one() -> None:
    found = forms(PEM)
    assert {b"MIGHAgEAMBMGByqGSM49", b"/QgwEHBG0wawIBAQQgQyX3"} <= found
    assert not [form for form in found if b"PRIVATE" in form or form == b"ab=="]


@pytest.mark.parametrize("harmless", [b"", HEX[:-2].encode(), b"privkey:" + b"0" * 64])
def test_another_text_is_no_hit(harmless: bytes) -> None:
    assert not any(form in harmless for form in forms(PRIVATE))
