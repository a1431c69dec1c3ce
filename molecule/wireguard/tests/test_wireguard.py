# SPDX-License-Identifier: MIT
"""Nodes on plain WireGuard after a reboot."""

from testinfra.host import Host

testinfra_hosts = ["ansible://nodes"]


def test_it_reaches_the_other_node(host: Host) -> None:
    other = {"vps": "box", "box": "vps"}[host.backend.get_hostname()]
    assert host.run(f"timeout 60 sh -c 'until ping -c 1 -W 2 {other}.mesh.wm.test; do sleep 1; done'").rc == 0
