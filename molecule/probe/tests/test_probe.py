# SPDX-License-Identifier: MIT
"""The probe port after its process died."""

import json
import typing as t

testinfra_hosts = ["ansible://nodes"]


def test_it_listens_on_the_mesh_alone(host: t.Any) -> None:
    ours = set(json.loads(host.check_output("tailscale status --json --peers=false"))["Self"]["TailscaleIPs"])
    listening = host.check_output("ss --no-header --listening --tcp --numeric 'sport = :7733'").splitlines()
    assert {line.split()[3].rpartition(":")[0].strip("[]") for line in listening} == ours


def test_it_answers_again(host: t.Any) -> None:
    address = host.check_output("tailscale ip -4")
    assert host.run(f"timeout 10 bash -c 'exec 3<>/dev/tcp/{address}/7733'").rc == 0
