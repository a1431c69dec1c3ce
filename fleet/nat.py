# SPDX-License-Identifier: MIT
"""What each kind of home router does to packets, as nftables rules of the router's namespace.

Interfaces there: `wan` (the internet) and `lan` (the home). Protocols are numbers (1 ICMP, 6 TCP, 17 UDP), since their
names need a file of the machine that may not be there. To add a kind, add an entry to KINDS. Losses are made by rules
too, since netem is not in every kernel.
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
# Who sent from which public port is learned when that port is chosen, and kept for two minutes after its last packet;
# whatever then comes to that port, from anybody, goes there.
FULL_CONE = """\
  map senders {
    typeof udp dport : ip daddr . udp dport
    flags dynamic, timeout
    timeout 2m
  }
  chain learn {
    type filter hook postrouting priority srcnat + 10; policy accept;
    oifname "wan" meta l4proto 17 update @senders { udp sport : ct original ip saddr . ct original proto-src }
  }
  chain pre {
    type nat hook prerouting priority dstnat; policy accept;
    iifname "wan" meta l4proto 17 dnat ip to udp dport map @senders
  }
"""
LOSS = """\
table inet loss {{
  chain both_ways {{
    type filter hook forward priority filter - 10; policy accept;
    numgen random mod 100 < {percent} counter drop
  }}
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
    inward: str = ""  # chains that let in what nobody inside has asked for


KINDS = {
    "easy": Kind("an ordinary router: one public port per inside port, whoever the peer is", SAME_PORT),
    "hard": Kind("a symmetric NAT: a new public port for each peer", NEW_PORTS),
    "full-cone": Kind(
        "one public port per inside port, open to everybody while it is used", SAME_PORT, inward=FULL_CONE
    ),
    "cgnat": Kind("an ordinary router behind a carrier's, which is a symmetric NAT", SAME_PORT, carrier="hard"),
    "udp-blocked": Kind("a firewall: only UDP 53 and 123, and TCP 80 and 443, go out", SAME_PORT, WEB_ONLY, pings=""),
}


def rules(kind: str, loss: int = 0) -> str:
    """The whole ruleset of a router, for `nft -f`; it loses `loss` percent of all packets, in each direction."""
    chosen = KINDS[kind]
    inner = INPUT.format(pings=chosen.pings) + FORWARD.format(outward=chosen.outward)
    outer = chosen.inward + POSTROUTING.format(masquerade=chosen.masquerade)
    lossy = LOSS.format(percent=loss) if loss else ""
    return f"flush ruleset\ntable inet filter {{\n{inner}}}\ntable ip nat {{\n{outer}}}\n{lossy}"
