# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""The wanted state of an interface, as its files on the host have it and as its parts need it."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_device import NO_KEY, Device, Peer
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_key import KeyFile, WireGuardError, decode

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_device import Endpoint
    from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_place import Place

# In the table's words, what is the host's own: a change of it may cut off who makes it.
OWN = ("addresses", "extra_ports", "forward", "mtu", "port", "routes")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """All of it. table: as the filter wireguard_peers gives it. rules: who may come in (see the module)."""

    table: Mapping[str, t.Any]
    rules: Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    names: Mapping[str, t.Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def load(cls, place: Place) -> Wanted:
        """What is on disk. WireGuardError if that is damaged."""
        try:
            with open(place.wanted, encoding="utf-8") as stream:
                found = json.load(stream)
            return cls({**found["table"], "peers": found["peers"]}, found["rules"], found["names"])
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise WireGuardError(f"{place.wanted} cannot be read ({exc}); run the playbook again") from None

    def dumps(self) -> str:
        """As it is on disk: one line per peer, for people who read the difference."""
        table = {key: value for key, value in self.table.items() if key != "peers"}
        rest = {"table": table, "rules": self.rules, "names": self.names}
        lines = [f' "{key}": {json.dumps(value, sort_keys=True)}' for key, value in sorted(rest.items())]
        peers = ",\n".join(f"  {json.dumps(each, sort_keys=True)}" for each in self.table["peers"])
        return "{\n" + ",\n".join([*lines, f' "peers": [\n{peers}\n ]' if peers else ' "peers": []']) + "\n}\n"

    def own(self) -> dict[str, t.Any]:
        """What decides whether the host itself can be reached, apart from its peers."""
        return {**{key: self.table[key] for key in OWN}, "rules": self.rules}

    def addresses(self, ipv6: bool) -> list[str]:
        return _of_families(self.table["addresses"], ipv6)

    def routes(self, ipv6: bool) -> list[str]:
        return _of_families(self.table["routes"], ipv6)

    @property
    def probed_at(self) -> str | None:
        """The address at which this host answers as a hub; None if it is none."""
        first: str = self.table["addresses"][0].partition("/")[0]
        return first if self.table["forward"]["mesh"] else None

    def names_of_peers(self) -> dict[bytes, str]:
        return {decode(peer["public_key"]): peer["name"] for peer in self.table["peers"]}

    def device(
        self,
        private_key: bytes,
        preshared: Mapping[str, str],
        resolved: Mapping[str, Endpoint],
        moved: Mapping[str, str],
    ) -> Device:
        """The WireGuard part.

        resolved: the addresses of endpoints, by their text in the table. moved: of networks behind hubs, the name of
        the hub that has them now, instead of the first.
        """
        peers = {}
        for each in self.table["peers"]:
            networks = {net for net in each["allowed_ips"] if moved.get(net, each["name"]) == each["name"]}
            networks |= {net for net, hub in moved.items() if hub == each["name"]}
            peers[decode(each["public_key"])] = Peer(
                public_key=decode(each["public_key"]),
                preshared_key=decode(preshared[each["name"]]) if each["preshared"] else NO_KEY,
                endpoint=resolved.get(each["endpoint"]) if each["endpoint"] else None,
                keepalive=each["keepalive"],
                allowed_ips=frozenset(networks),
            )
        return Device(private_key, self.table["port"], peers)


def load_secrets(place: Place) -> tuple[bytes, dict[str, str]]:
    """The private key, and the pre-shared keys by name."""
    private = KeyFile(place.key).read()
    if private is None:
        raise WireGuardError(f"{place.key} is missing; run the playbook again, which makes a new key")
    try:
        with open(place.preshared, encoding="utf-8") as stream:
            return private, json.load(stream)
    except FileNotFoundError:
        return private, {}
    except (OSError, ValueError) as exc:
        raise WireGuardError(
            f"{place.preshared} cannot be read ({type(exc).__name__}); run the playbook again"
        ) from None


def _of_families(networks: t.Iterable[str], ipv6: bool) -> list[str]:
    return [each for each in networks if ipv6 or ipaddress.ip_network(each).version == 4]
