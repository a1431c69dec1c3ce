# SPDX-License-Identifier: MIT
"""The routers' rules. What they do is measured in tests/fleet/test_nats.py; here, that nft can read them."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from fleet import nat

NFT = shutil.which("nft", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


@pytest.mark.skipif(NFT is None or os.geteuid() != 0, reason="needs nft and root")
@pytest.mark.parametrize("loss", [0, 99])
@pytest.mark.parametrize("kind", nat.KINDS)
def test_nft_accepts_the_rules(kind: str, loss: int) -> None:
    done = subprocess.run(
        [NFT or "", "-c", "-f", "-"], input=nat.rules(kind, loss), capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", nat.KINDS)
def test_a_router_drops_what_comes_in_unasked(kind: str) -> None:
    assert 'iifname "wan" counter drop' in nat.rules(kind)


def test_only_a_hard_nat_changes_the_port_per_peer() -> None:
    assert {kind for kind in nat.KINDS if "masquerade random" in nat.rules(kind)} == {"hard"}


def test_a_firewall_lets_out_names_time_and_the_web_and_nothing_else() -> None:
    accepted = [line.strip() for line in nat.rules("udp-blocked").splitlines() if 'iifname "lan"' in line]
    assert accepted == [
        'iifname "lan" oifname "wan" udp dport { 53, 123 } accept',
        'iifname "lan" oifname "wan" tcp dport { 80, 443 } accept',
        'iifname "lan" oifname "wan" meta l4proto { 6, 17 } counter reject with icmpx admin-prohibited',
    ]
