# SPDX-License-Identifier: MIT
"""A configuration that its daemon refuses does no harm."""

import typing as t

testinfra_hosts = ["ansible://gateways"]
CURL = "curl --silent --max-time 10 --output /dev/null --write-out '%{http_code}' https://vps.wm.test/health"


def test_it_was_refused(host: t.Any) -> None:
    assert "oops" in host.file("/run/refused").content_string


def test_the_old_one_still_serves(host: t.Any) -> None:
    assert host.check_output(CURL) == "200"


def test_the_old_one_is_in_place(host: t.Any) -> None:
    assert "oops" not in host.check_output("cat /etc/caddy/caddy.json")
