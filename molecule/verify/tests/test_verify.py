# SPDX-License-Identifier: MIT
"""What was proven holds while the coordinator is down."""

import typing as t
from collections.abc import Iterator

import pytest
import testinfra

testinfra_hosts = ["ansible://nodes"]
PAGE = "curl --silent --fail --max-time 10 https://hello.wm.test/"


@pytest.fixture(scope="session", autouse=True)
def coordinator(request: pytest.FixtureRequest) -> Iterator[None]:
    """Down while the tests run; then the fleet is for the next scenario as it was."""
    yield
    inventory = request.config.getoption("--ansible-inventory")
    testinfra.get_host(f"ansible://vps?ansible_inventory={inventory}&sudo=true").check_output(
        "systemctl start headscale"
    )


def test_nodes_go_on_talking(host: t.Any) -> None:
    other = {"vps": "box", "box": "vps"}[host.backend.get_hostname()]
    address = host.check_output(f"tailscale ip -4 {other}")
    assert host.run(f"timeout 10 bash -c 'exec 3<>/dev/tcp/{address}/7733'").rc == 0


def test_the_service_is_served(host: t.Any) -> None:
    assert host.run(PAGE).rc == 0
