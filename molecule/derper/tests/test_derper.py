# SPDX-License-Identifier: MIT
"""A relay after its process died."""

from testinfra.host import Host

testinfra_hosts = ["ansible://nodes"]


def test_nodes_reach_it_again(host: Host) -> None:
    assert host.run("curl --silent --fail --retry 10 --retry-all-errors https://out.wm.test/derp/probe").rc == 0
