# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""The nftables table of an interface: who may come in by it, what the host forwards, which ports lead to WireGuard.

It says something about packets of this interface only. Another table may still refuse what this one lets in.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_key import WireGuardError
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_run import MISSING

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_run import Run
    from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_wanted import Wanted

PROBE_PORT = 51819  # UDP, on the mesh address of a hub: whether it is there
PING = "icmp type { echo-request, destination-unreachable, time-exceeded, parameter-problem } accept"
PING_V6 = (
    "icmpv6 type { echo-request, destination-unreachable, packet-too-big, time-exceeded, parameter-problem } accept"
)


class Firewall:
    """The table of one interface on this host."""

    def __init__(self, name: str, run: Run) -> None:
        self._name = f"wonder_mesh_{name}"
        self._run = run

    def listed(self) -> str:
        """The table as nft shows it; empty if there is none."""
        rc, out, _err = self._run(["nft", "--stateless", "list", "table", "inet", self._name], "")
        if rc == 0:
            return out
        if rc == MISSING:
            raise WireGuardError("the command nft is missing, which keeps the mesh out; install the package nftables")
        return ""

    def set(self, rules: str) -> None:
        """Put these rules in place of those that are there, in one step."""
        table = f"table inet {self._name}"
        rc, _out, err = self._run(["nft", "--file", "-"], f"{table}\ndelete {table}\n{table} {{\n{rules}}}\n")
        if rc != 0:
            raise WireGuardError(f"nft refused the rules of the interface: {err.strip() or 'it said nothing'}")

    def remove(self) -> None:
        self._run(["nft", "delete", "table", "inet", self._name], "")


def rules(name: str, wanted: Wanted) -> str:
    """The chains, for `nft`."""
    table, interface = wanted.table, f'"{name}"'
    chains = {
        "input": ("filter", "input", "filter", list(_input(interface, wanted))),
        "forward": ("filter", "forward", "filter", list(_forward(interface, wanted))),
    }
    if table["forward"]["mesh"]:
        # A hub sends packets out where they came in, and is right to: a redirect would tell of a way that is none.
        redirect = f"oifname {interface} icmp type redirect drop"
        chains["output"] = ("filter", "output", "filter", [redirect])
    if table["extra_ports"]:
        ports = ", ".join(map(str, table["extra_ports"]))
        lead = f"iifname != {interface} fib daddr type local udp dport {{ {ports} }} redirect to :{table['port']}"
        chains["prerouting"] = ("nat", "prerouting", "dstnat", [lead])
    if table["forward"]["networks"]:
        chains["postrouting"] = ("nat", "postrouting", "srcnat", list(_masquerade(interface, wanted)))
    return "".join(
        f" chain {chain} {{\n  type {kind} hook {hook} priority {priority}; policy accept;\n"
        + "".join(f"  {line}\n" for line in lines)
        + " }\n"
        for chain, (kind, hook, priority, lines) in chains.items()
    )


def _input(interface: str, wanted: Wanted) -> Iterator[str]:
    yield f"iifname != {interface} accept"
    yield "ct state established,related accept"
    yield PING
    yield PING_V6
    if wanted.probed_at is not None:
        yield f"{_family(wanted.probed_at)} daddr {wanted.probed_at} udp dport {PROBE_PORT} accept"
    for rule in wanted.rules.get("input") or []:
        yield from _accept(rule, {4: "", 6: ""})
    yield "drop"


def _forward(interface: str, wanted: Wanted) -> Iterator[str]:
    forward = wanted.table["forward"]
    yield f"iifname != {interface} oifname != {interface} accept"
    yield f"oifname {interface} tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu"
    if forward["mesh"]:
        yield f"iifname {interface} oifname {interface} accept"
    yield "ct state established,related accept"
    where = {version: _set("daddr", forward["networks"], version) for version in (4, 6)}
    for rule in (wanted.rules.get("forward") or []) if forward["networks"] else []:
        yield from _accept(rule, where, f"iifname {interface} oifname != {interface} ")
    yield "drop"


def _masquerade(interface: str, wanted: Wanted) -> Iterator[str]:
    for version in (4, 6):
        source = _set("saddr", wanted.table["routes"], version)
        where = _set("daddr", wanted.table["forward"]["networks"], version)
        if source and where:
            yield f"oifname != {interface} {source}{where}masquerade"


def _accept(rule: dict[str, t.Any], where: dict[int, str], before: str = "") -> Iterator[str]:
    """where: by version, what the destination must be; an empty dictionary value where anything is right."""
    open_to_all = not any(where.values())
    for version in (4, 6):
        source = _set("saddr", rule["from"], version)
        if source and (open_to_all or where[version]):
            for ports in _ports(rule["ports"]):
                yield f"{before}{source}{where[version]}{ports} accept"


def _ports(texts: Iterable[str]) -> Iterator[str]:
    """tcp:22, tcp:8000-8010, udp:* and the like, one match for each protocol."""
    for protocol in ("tcp", "udp"):
        ports = [port for kind, _, port in (text.partition(":") for text in texts) if kind == protocol]
        if "*" in ports:
            yield f"meta l4proto {protocol}"
        elif ports:
            yield f"{protocol} dport {{ {', '.join(_spans(ports))} }}"


def _spans(ports: Iterable[str]) -> Iterator[str]:
    """Ports and ranges that do not overlap, which a set of nft must not."""
    spans = sorted((int(first), int(last or first)) for first, _, last in (port.partition("-") for port in ports))
    merged: list[tuple[int, int]] = []
    for first, last in spans:
        if merged and first <= merged[-1][1] + 1:
            first, last = merged[-1][0], max(last, merged.pop()[1])
        merged.append((first, last))
    for first, last in merged:
        yield str(first) if first == last else f"{first}-{last}"


def _set(side: str, networks: Iterable[str], version: int) -> str:
    """A match of these networks, as far as they are of this version; empty if none is."""
    own = [each for each in map(ipaddress.ip_network, networks) if each.version == version]
    merged = ipaddress.collapse_addresses(t.cast("t.Any", own))
    texts = ", ".join(str(each) for each in merged)
    return f"{'ip' if version == 4 else 'ip6'} {side} {{ {texts} }} " if texts else ""


def _family(address: str) -> str:
    return "ip6" if ":" in address else "ip"
