# SPDX-License-Identifier: MIT
"""What each kind of home router does to packets, as nftables rules of the router's namespace.

Interfaces there: `wan` (the internet) and `lan` (the home). Protocols are numbers (1 ICMP, 6 TCP, 17 UDP), since their
names need a file of the machine that may not be there. To add a kind, add an entry to KINDS.
"""

from __future__ import annotations

from dataclasses import dataclass

# Without the drop, a peer's unsolicited packet makes a conntrack entry that takes the port which the home's own packet
# would have got, and two easy NATs never meet.
INPUT = """\
  chain input {{
    type filter hook input priority filter; policy accept;
    iifname "wan" ct state established,related accept
{pings}    iifname "wan" counter drop
  }}
"""
PINGS = '    iifname "wan" meta l4proto 1 accept\n'
FORWARD = """\
  chain forward {{
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    ct status dnat accept
{outward}  }}
"""
EVERYTHING = """\
    iifname "lan" oifname "wan" accept
    iifname "lan" oifname "lan" accept
"""
WEB_ONLY = """\
    iifname "lan" oifname "wan" udp dport { 53, 123 } accept
    iifname "lan" oifname "wan" tcp dport { 80, 443 } accept
    iifname "lan" oifname "wan" meta l4proto { 6, 17 } counter reject with icmpx admin-prohibited
"""
POSTROUTING = """\
  chain post {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname "wan" {masquerade}
  }}
"""
SAME_PORT = "masquerade persistent"
NEW_PORTS = "meta l4proto { 6, 17 } masquerade random"


@dataclass(frozen=True)
class Kind:
    """One kind of router: how it chooses a connection's public port, and what it lets out."""

    description: str
    masquerade: str
    outward: str = EVERYTHING
    pings: str = PINGS
    carrier: str = ""  # the kind of a second router before it, which a carrier has


KINDS = {
    "easy": Kind("an ordinary router: one public port per inside port, whoever the peer is", SAME_PORT),
    "hard": Kind("a symmetric NAT: a new public port for each peer", NEW_PORTS),
    "cgnat": Kind("an ordinary router behind a carrier's, which is a symmetric NAT", SAME_PORT, carrier="hard"),
    "udp-blocked": Kind("a firewall: only UDP 53 and 123, and TCP 80 and 443, go out", SAME_PORT, WEB_ONLY, pings=""),
}


def rules(kind: str) -> str:
    """The whole ruleset of a router, for `nft -f`."""
    chosen = KINDS[kind]
    inner = INPUT.format(pings=chosen.pings) + FORWARD.format(outward=chosen.outward)
    outer = POSTROUTING.format(masquerade=chosen.masquerade)
    return f"flush ruleset\ntable inet filter {{\n{inner}}}\ntable ip nat {{\n{outer}}}\n"
