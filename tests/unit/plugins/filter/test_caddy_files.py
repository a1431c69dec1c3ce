# SPDX-License-Identifier: MIT

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.filter.caddy_files import FilterModule, caddy_files

PAIR = {"certificate": "certs/hub.pem", "key": "certs/hub.key"}
COMMON = {"owner": "root", "group": "caddy", "mode": "0640", "on_change": "reload"}


def test_a_pair_becomes_two_files_of_which_the_key_is_secret() -> None:
    before = dict(PAIR)
    assert caddy_files([PAIR], "/etc/caddy/certificates") == {
        "files": [
            {"path": "/etc/caddy/certificates/1.crt", "source": "certs/hub.pem", **COMMON},
            {"path": "/etc/caddy/certificates/1.key", "source": "certs/hub.key", "secret": True, **COMMON},
        ],
        "certificates": [{"certificate": "/etc/caddy/certificates/1.crt", "key": "/etc/caddy/certificates/1.key"}],
        "secret": "",
    }
    assert before == PAIR


def test_pairs_are_numbered() -> None:
    found = caddy_files([PAIR, PAIR], "/c")["certificates"]
    assert [each["key"] for each in found] == ["/c/1.key", "/c/2.key"]


def test_none_are_none() -> None:
    assert caddy_files([], "/c") == {"files": [], "certificates": [], "secret": ""}


@pytest.mark.parametrize("wrong", [{"certificate": "a"}, {"key": "a"}, "a", None])
def test_refuses_what_is_no_pair_by_its_number(wrong: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"caddy_files: certificate 2 is .*; expected certificate and key"):
        caddy_files([PAIR, wrong], "/c")


def test_is_known_by_its_name() -> None:
    assert FilterModule().filters() == {"caddy_files": caddy_files}
