# SPDX-License-Identifier: MIT
"""How the source of a program is written, and what is said of one that is not written so."""

from __future__ import annotations

import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs, _supply
from ansible_collections.wonder.mesh.plugins.plugin_utils._programs import ProgramError

pytestmark = pytest.mark.usefixtures("go")

SHA = "ab" * 32
GOOD = {"file": "mine", "sha256": SHA}
MALFORMED: dict[str, tuple[object, str, str]] = {
    "no mapping": (["x"], "", "it must be a mapping of architectures"),
    "uname's word": ({"x86_64": {"other": GOOD}}, ".x86_64", "there is no such architecture"),
    "no binary": ({"amd64": GOOD}, ".amd64", "it must name other, and nothing else"),
    "no mapping of binaries": ({"amd64": "x"}, ".amd64", "it must name other"),
    "no source": ({"amd64": {"other": "x"}}, ".amd64.other", "it must have a sha256, and either a file or a url"),
    "no hash": ({"amd64": {"other": {"file": "x"}}}, ".amd64.other", "it must have a sha256"),
    "both": ({"amd64": {"other": GOOD | {"url": "https://x"}}}, ".amd64.other", "either a file or a url"),
    "short hash": ({"amd64": {"other": GOOD | {"sha256": "ab"}}}, ".amd64.other.sha256", "64 hexadecimal digits"),
    "number": ({"amd64": {"other": GOOD | {"sha256": 7}}}, ".amd64.other.sha256", "64 hexadecimal digits"),
    "no path": ({"amd64": {"other": GOOD | {"file": ""}}}, ".amd64.other.file", "it is no path"),
    **{
        f"url {url}": ({"amd64": {"other": {"url": url, "sha256": SHA}}}, ".amd64.other.url", "over https only")
        for url in (
            "http://example.com/x",
            "http://127.0.0.1/x",
            "ftp://example.com/x",
            "file:///etc/passwd",
            "https:///x",
            "https://me:secret@example.com/x",
            "https://example.com:0x/x",
            "https://example.com:99999/x",
            "https://example.com/a b",
            "https://[::1/x",
            "",
            None,
        )
    },
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_source_is_named_with_place_and_reason(name: str) -> None:
    value, where, reason = MALFORMED[name]
    (found,) = _supply.mistakes(value, ["other"])
    assert (found.where, reason in found.reason, found.fix != "") == (where, True, True)
    with pytest.raises(ProgramError, match="the source of other"):
        _supply.supplied(_programs.find("other"), value, str)


@pytest.mark.parametrize(
    "url",
    ["https://example.com/x", "https://example.com:8443/x?y=z", "https://203.0.113.1/x", "https://[2001:db8::1]/x"],
)
def test_an_https_url_is_taken(url: str) -> None:
    assert list(_supply.mistakes({"amd64": {"other": {"url": url, "sha256": SHA}}}, ["other"])) == []
