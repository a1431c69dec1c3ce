# SPDX-License-Identifier: MIT
"""What somebody changed by hand is back after the next run."""

import json
import typing as t

testinfra_hosts = ["ansible://vps"]
CURL = "curl --silent --max-time 10 --output /dev/null --write-out '%{http_code}' https://vps.wm.test/health"


def test_the_file_is_back(host: t.Any) -> None:
    assert "apps" in json.loads(host.check_output("cat /etc/caddy/caddy.json"))


def test_the_mode_is_back(host: t.Any) -> None:
    assert host.file("/etc/headscale/config.yaml").mode == 0o640


def test_the_service_is_back(host: t.Any) -> None:
    assert (host.service("caddy").is_enabled, host.check_output(CURL)) == (True, "200")


def test_the_preference_is_back(host: t.Any) -> None:
    assert json.loads(host.check_output("tailscale debug prefs"))["Hostname"] == "vps"
