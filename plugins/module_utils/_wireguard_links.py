# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""The interface as the host's network stack has it: addresses, MTU, routes, and what the host forwards."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import os
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils import _wireguard_place as place
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_key import WireGuardError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_run import Run
    from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_wanted import Wanted


@dataclasses.dataclass(frozen=True)
class Link:
    """What of it a run decides. addresses, routes: networks as ipaddress writes them."""

    mtu: int
    up: bool
    addresses: frozenset[str]
    routes: frozenset[str]


def has_ipv6() -> bool:
    """Whether the host speaks IPv6 at all; where it does not, what needs it is left out."""
    off = (read_setting(_setting("ipv6", "conf", each, "disable_ipv6")) == "1" for each in ("all", "default"))
    return os.path.isdir(_setting("ipv6", "conf")) and not any(off)


def wanted_link(wanted: Wanted) -> Link:
    ipv6 = has_ipv6()
    return Link(wanted.table["mtu"], True, frozenset(wanted.addresses(ipv6)), frozenset(wanted.routes(ipv6)))


class Links:
    """The interface ``name``, by the commands of iproute2."""

    def __init__(self, name: str, run: Run) -> None:
        self._name = name
        self._run = run

    def look(self) -> Link | None:
        """None if there is no such interface."""
        rc, out, _err = self._run(["ip", "-json", "address", "show", "dev", self._name], "")
        # iproute2 prints empty objects for what it was not asked for.
        found = [each for each in (json.loads(out or "[]") if rc == 0 else []) if each]
        if not found:
            return None
        addresses = {
            str(ipaddress.ip_network(f"{each['local']}/{each['prefixlen']}", strict=False))
            for each in found[0].get("addr_info", []) if each.get("scope") == "global"
        }  # fmt: skip
        routes = {network for family in ("-4", "-6") for network in self._routes(family)}
        return Link(found[0]["mtu"], "UP" in found[0]["flags"], frozenset(addresses), frozenset(routes))

    def set(self, live: Link, wanted: Link) -> None:
        """From the one to the other; what is in both is not touched, and what is new comes before the old goes."""
        lines = []
        if live.mtu != wanted.mtu:
            lines.append(f"link set dev {self._name} mtu {wanted.mtu}")
        lines += [f"address add {each} dev {self._name}" for each in sorted(wanted.addresses - live.addresses)]
        if not live.up:
            lines.append(f"link set dev {self._name} up")
        # What has an address here already goes elsewhere: adding fails, and replacing would take it over.
        lines += [f"route add {each} dev {self._name} proto static" for each in sorted(wanted.routes - live.routes)]
        lines += [f"route del {each} dev {self._name}" for each in sorted(live.routes - wanted.routes)]
        lines += [f"address del {each} dev {self._name}" for each in sorted(live.addresses - wanted.addresses)]
        if not lines:
            return
        rc, _out, err = self._run(["ip", "-batch", "-"], "".join(f"{line}\n" for line in lines))
        if rc != 0:
            raise WireGuardError(f"{self._name} cannot get its addresses and routes: {_explained(err, lines)}")

    def add(self) -> None:
        """Make the kernel's WireGuard interface, unless it is there."""
        rc, _out, err = self._run(["ip", "link", "add", "dev", self._name, "type", "wireguard"], "")
        if rc != 0 and "exists" not in err:
            raise WireGuardError(f"the kernel makes no WireGuard interface: {err.strip()}")

    def remove(self) -> None:
        self._run(["ip", "link", "del", "dev", self._name], "")

    def _routes(self, family: str) -> Iterator[str]:
        rc, out, _err = self._run(["ip", "-json", family, "route", "show", "dev", self._name, "table", "main"], "")
        for each in json.loads(out or "[]") if rc == 0 else []:
            if each.get("dst") and each.get("protocol") != "kernel":
                default = "0.0.0.0/0" if family == "-4" else "::/0"
                yield str(ipaddress.ip_network(default if each["dst"] == "default" else each["dst"]))

    def way_to(self, network: str) -> str | None:
        """The interface by which the host reaches this network; None if it does not, or by the mesh."""
        first = str(ipaddress.ip_network(network).network_address)
        rc, out, _err = self._run(["ip", "-json", "route", "get", first], "")
        found = json.loads(out or "[]") if rc == 0 else []
        interface = found[0].get("dev") if found else None
        return interface if interface != self._name else None


def _explained(err: str, lines: list[str]) -> str:
    """iproute2 names the number of the line, and not what is in it."""
    said = err.strip().replace("\n", "; ")
    _, found, number = said.rpartition(":")
    index = int(number) - 1 if found and number.strip().isdigit() else -1
    return f"`ip {lines[index]}` failed: {said}" if 0 <= index < len(lines) else said


def forwarding(name: str, wanted: Wanted, links: Links) -> dict[str, str]:
    """The kernel's settings that let the host forward what it must, by path: as few interfaces as will do."""
    forward = wanted.table["forward"]
    networks = [ipaddress.ip_network(each) for each in forward["networks"]]
    versions = {4, 6} if forward["mesh"] else {each.version for each in networks}
    interfaces = {name, *(way for way in map(links.way_to, map(str, networks)) if way is not None)}
    settings: dict[str, str] = {}
    if 4 in versions:
        # IPv4 asks the interface that a packet comes in by.
        settings |= {_setting("ipv4", "conf", each, "forwarding"): "1" for each in interfaces}
    if 6 in versions and has_ipv6():
        forced = {_setting("ipv6", "conf", each, "force_forwarding"): "1" for each in interfaces}
        # Before Linux 6.17, IPv6 forwards everywhere or nowhere.
        settings |= forced if all(map(os.path.exists, forced)) else {everywhere(): "1"}
    return settings


def accepting_routes(settings: t.Mapping[str, str]) -> dict[str, str]:
    """A host that forwards IPv6 no longer takes routes from routers, unless told to: what keeps those it takes now."""
    if everywhere() not in settings or read_setting(everywhere()) == "1":
        return {}
    paths = [_setting("ipv6", "conf", each, "accept_ra") for each in sorted(os.listdir(_setting("ipv6", "conf")))]
    return {path: "2" for path in paths if read_setting(path) == "1"}


def everywhere() -> str:
    """The setting with which a host forwards IPv6 between all its interfaces."""
    return _setting("ipv6", "conf", "all", "forwarding")


def read_setting(path: str) -> str:
    """Empty if there is no such setting."""
    try:
        with open(path, encoding="ascii") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def write_setting(path: str, value: str) -> None:
    try:
        with open(path, "w", encoding="ascii") as stream:
            stream.write(value)
    except OSError as exc:
        raise WireGuardError(f"{path} cannot be set to {value}: {exc.strerror}") from None


def _setting(*parts: str) -> str:
    return os.path.join(place.SYSCTL, *parts)
