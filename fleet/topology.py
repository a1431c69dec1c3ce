# SPDX-License-Identifier: MIT
"""A topology file: which hosts there are, in which homes, behind which kind of router.

`load` reads one, has it checked (`checks.py`) and assigns the addresses that the file leaves open. A file with mistakes
is refused with all of them, one line each: file, key, reason.
"""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import yaml

from fleet import FleetError, checks

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable

TOPOLOGIES = Path(__file__).resolve().parent / "topologies"
INTERNET = "203.0.113.0/24"
HOME = "192.168.1.0/24"
FIRST_HOST = 10  # of a network; below it are the gateway and what people put there by hand
FIRST_ROUTER = 200  # of the internet


@dataclass(frozen=True)
class Host:
    """One machine. `home` is None on the internet; `address` is in its home's network or in the internet's."""

    name: str
    groups: tuple[str, ...]
    address: IPv4Address
    home: str | None
    variables: dict[str, t.Any]
    services: tuple[dict[str, t.Any], ...]

    @property
    def tun(self) -> bool:
        """Whether the host has a TUN device."""
        return bool(self.variables.get("tailscaled_tun", True))


@dataclass(frozen=True)
class Home:
    """One site: a router of kind `nat` with `address` on the internet, and `network` behind it.

    It loses `loss` percent of what passes, in each direction.
    """

    name: str
    nat: str
    network: IPv4Network
    address: IPv4Address
    loss: int = 0

    @property
    def router(self) -> IPv4Address:
        """The router's address inside."""
        return self.network[1]


@dataclass(frozen=True)
class Topology:
    """A checked topology; `name` is what the person called it and `source` the text of its file."""

    name: str
    source: str
    domain: str
    internet: IPv4Network
    user: str
    variables: dict[str, t.Any]
    homes: tuple[Home, ...]
    hosts: tuple[Host, ...]

    def public_name(self, host: Host) -> str:
        """The DNS name of a host of the internet."""
        return f"{host.name}.{self.domain}"

    def in_group(self, group: str) -> list[Host]:
        """The hosts of one inventory group, in the file's order."""
        return [host for host in self.hosts if group in host.groups]

    def service_names(self) -> list[str]:
        """The DNS names of all services, sorted."""
        return sorted({service["host"] for host in self.hosts for service in host.services if "host" in service})

    def web_names(self) -> list[str]:
        """Those of them that gateways have the certificate of, sorted."""
        passed = {
            service.get("host") for host in self.hosts for service in host.services if _protocol(service) == "tls"
        }
        return sorted({*self.service_names()} - passed)


def _protocol(service: dict[str, t.Any]) -> str:
    return str(service.get("protocol", "http"))


def path_of(name: str) -> Path:
    """The file of a topology: a name stands for one of ours, anything with a slash is a path."""
    path = Path(name).resolve() if "/" in name else TOPOLOGIES / f"{name}.yml"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in TOPOLOGIES.glob("*.yml")))
        raise FleetError(f"there is no topology {name!r}; known are {known}, and ./FILE.yml is a path")
    return path


def load(name: str, nat_kinds: Collection[str]) -> Topology:
    """Read the topology `name`; `nat_kinds` are the kinds of router that the provider can make."""
    path = path_of(name)
    source = path.read_text(encoding="utf-8")
    try:
        data = yaml.load(source, Loader=_Loader)  # noqa: S506 (it is a SafeLoader)
    except yaml.YAMLError as error:
        raise FleetError(f"{path}: {' '.join(str(error).split())}") from error
    problems = list(checks.problems(data, nat_kinds)) or list(_clashes(data))
    if problems:
        raise FleetError("\n".join(f"{path}: {problem}" for problem in problems))
    return _build(name, source, data)


class _Loader(yaml.SafeLoader):
    """YAML's silent last-wins would hide two hosts of one name."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[t.Any, t.Any]:
        keys = Counter(key.value for key, _value in node.value)
        for key, count in keys.items():
            if count > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _build(name: str, source: str, data: dict[str, t.Any]) -> Topology:
    internet = IPv4Network(data.get("internet", INTERNET))
    public = assign(internet, _public_wishes(data))
    homes, hosts = [], [_host(key, each, public[key], None) for key, each in data["public"].items()]
    for key, each in data.get("homes", {}).items():
        network, router = IPv4Network(each.get("network", HOME)), public[f"{key}'s router"]
        home = Home(key, each["nat"], network, router, each.get("loss", 0))
        inside = assign(home.network, _home_wishes(each))
        homes.append(home)
        hosts += [_host(host, values, inside[host], key) for host, values in each["hosts"].items()]
    user, variables = data.get("user", "root"), data.get("vars", {})
    return Topology(name, source, data["domain"], internet, user, variables, tuple(homes), tuple(hosts))


def _host(name: str, values: dict[str, t.Any], address: IPv4Address, home: str | None) -> Host:
    return Host(name, tuple(values["groups"]), address, home, values.get("vars", {}), tuple(values.get("services", ())))


Wish = tuple[str, str | None, int]  # who, the address the file gives, where the search for a free one begins


def _public_wishes(data: dict[str, t.Any]) -> list[Wish]:
    hosts: list[Wish] = [(key, each.get("address"), FIRST_HOST) for key, each in data["public"].items()]
    homes = data.get("homes", {}).items()
    return hosts + [(f"{key}'s router", each.get("address"), FIRST_ROUTER) for key, each in homes]


def _home_wishes(home: dict[str, t.Any]) -> list[Wish]:
    return [(key, each.get("address"), FIRST_HOST) for key, each in home["hosts"].items()]


def assign(network: IPv4Network, wishes: Iterable[Wish]) -> dict[str, IPv4Address]:
    """Addresses by name: what the file gives, and the next free ones in the file's order for the others."""
    wishes = list(wishes)
    given = {who: IPv4Address(address) for who, address, _first in wishes if address}
    taken = set(given.values())
    for who, _address, first in wishes:
        if who not in given:
            free = (network[index] for index in range(first, network.num_addresses - 1))
            given[who] = next(address for address in free if address not in taken)
            taken.add(given[who])
    return given


def _clashes(data: dict[str, t.Any]) -> list[str]:
    """Two machines with one address, or an address outside its network."""
    homes = data.get("homes", {})
    found = _network_clashes("public", IPv4Network(data.get("internet", INTERNET)), _public_wishes(data))
    for key, each in homes.items():
        found += _network_clashes(f"homes.{key}.hosts", IPv4Network(each.get("network", HOME)), _home_wishes(each))
    return found


def _network_clashes(where: str, network: IPv4Network, wishes: list[Wish]) -> list[str]:
    found, owner = [], {network[0]: "the network", network[1]: "the gateway", network[-1]: "broadcast"}
    for who, text, _first in wishes:
        if text is None:
            continue
        address = IPv4Address(text)
        if address not in network:
            found.append(f"{where}: the address {address} of {who} is not in {network}")
        elif address in owner:
            found.append(f"{where}: the address {address} of {who} is taken by {owner[address]}")
        owner.setdefault(address, who)
    return found
