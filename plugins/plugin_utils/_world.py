# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The checks that need more than the inventory: certificate files, the date and DNS."""

from __future__ import annotations

import dataclasses
import typing as t

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from ansible_collections.wonder.mesh.plugins.plugin_utils._values import dns_name, ip_address, is_inner

if t.TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Collection, Sequence

    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems

VARIABLE = "caddy_certificates"


@dataclasses.dataclass(frozen=True)
class World:
    """What the checks may ask.

    read_file raises OSError; why_unwritable gives a reason, or none; resolve gives the addresses of each name, none for
    one that does not resolve; pinned gives the version of a program, binaries the names of what it consists of.
    """

    read_file: Callable[[str], bytes]
    why_unwritable: Callable[[str], str]
    resolve: Callable[[Sequence[str]], dict[str, list[str]]]
    pinned: Callable[[str], str]
    binaries: Callable[[str], Collection[str]]
    now: datetime.datetime


@dataclasses.dataclass(frozen=True)
class Name:
    """A public name, the host or group it must lead to, and the addresses of that; none if they are not known."""

    name: str
    where: str
    variable: str
    addresses: frozenset[str]


def check_certificates(inventory: Inventory, host: str, names: list[str], world: World, problems: Problems) -> None:
    """names: what the host serves. A name that no certificate covers is left to Caddy's automatic HTTPS."""
    value = inventory.get(host, VARIABLE, problems)
    if value is None or value == []:
        return
    if not isinstance(value, list):
        problems.add(host, VARIABLE, value, "it must be a list", "Write it as a list of {certificate: FILE, key: FILE}")
        return
    for number, item in enumerate(value):
        where = f"{VARIABLE}[{number}]"
        if (
            not isinstance(item, dict)
            or set(item) != {"certificate", "key"}
            or not all(isinstance(path, str) and path for path in item.values())
        ):
            fix = "Write it as {certificate: FILE, key: FILE}, both on the controller"
            problems.add(host, where, item, "it must name a certificate and its key, and nothing else", fix)
            continue
        check_pair(host, where, item, names, world, problems)


def check_pair(host: str, where: str, item: dict[str, str], names: list[str], world: World, problems: Problems) -> None:
    """item: the files of a certificate and its key; names: what it is for, names and addresses."""

    def wrong(kind: str, reason: str, fix: str) -> None:
        problems.add(host, f"{where}.{kind}", item[kind], reason, fix)

    content: dict[str, bytes] = {}
    for kind in ("certificate", "key"):
        try:
            content[kind] = world.read_file(item[kind])
        except OSError as exc:
            wrong(kind, f"the file cannot be read: {exc.strerror or exc}", "Name a file that is on the controller")
    if "certificate" not in content:
        return
    try:
        certificate = x509.load_pem_x509_certificates(content["certificate"])[0]
        public_key = _der(certificate.public_key())
        covered = _names_in(certificate)
    except (ValueError, IndexError, UnsupportedAlgorithm):
        wrong("certificate", "the file holds no certificate in PEM", "Name the file of the certificate and its chain")
        return
    if certificate.not_valid_after_utc < world.now:
        wrong("certificate", f"it expired on {certificate.not_valid_after_utc:%Y-%m-%d}", "Renew it")
    if certificate.not_valid_before_utc > world.now:
        reason = f"it is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        wrong("certificate", reason, "Wait, or correct the controller's clock")
    if names and not any(_covers(pattern, name) for pattern in covered for name in names):
        reason = f"it is for {', '.join(covered) or 'no name'}, and none of that is served here"
        wrong("certificate", reason, f"Name a certificate for {', '.join(names)}, or remove it")
    if "key" in content:
        try:
            own_key = _der(serialization.load_pem_private_key(content["key"], None).public_key())
        except (ValueError, TypeError, UnsupportedAlgorithm):
            wrong("key", "the file holds no private key in PEM without a password", "Name the file of the key")
            return
        if own_key != public_key:
            wrong(
                "key", f"it is not the key of {item['certificate']}", "Name the key that the certificate was made for"
            )


def _der(key: t.Any) -> bytes:
    return t.cast(
        "bytes", key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def _names_in(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    names = [name.lower() for name in extension.value.get_values_for_type(x509.DNSName)]
    return names + [str(address) for address in extension.value.get_values_for_type(x509.IPAddress)]


def _covers(pattern: str, name: str) -> bool:
    if pattern.startswith("*."):
        return name.partition(".")[2] == pattern[2:]
    return pattern == name


def public_names(
    inventory: Inventory, coordinator: str | None, services: dict[str, str], problems: Problems
) -> tuple[list[Name], list[str]]:
    """The names to check, and those whose addresses must be looked up for it. services: host name -> variable."""
    gateways = inventory.groups["gateways"]
    names = []
    for host in dict.fromkeys([*([coordinator] if coordinator else []), *gateways]):
        name = dns_name(inventory.get(host, "mesh_public_address", problems))
        if name is not None:
            known = frozenset(_outer(inventory.get(host, "ansible_host", problems)))
            names.append(Name(name, host, "mesh_public_address", known))
    named = [dns_name(inventory.get(host, "mesh_public_address", problems)) for host in gateways]
    literal = {
        str(address)
        for host in gateways
        if (address := ip_address(inventory.get(host, "mesh_public_address", problems))) is not None
    }
    for name, variable in services.items():
        names.append(Name(name, "group gateways", variable, frozenset(literal)))
    return names, [name for name in named if name is not None]


def check_names(names: list[Name], gateways: list[str], world: World, strict: bool, problems: Problems) -> list[str]:
    """gateways: the gateways' own names, to which a service's name may lead as well. Returns the warnings."""
    if not names:
        return []
    found = world.resolve(sorted({*(each.name for each in names), *gateways}))
    records = []
    for each in names:
        right = set(each.addresses)
        if each.where == "group gateways":
            right.update(address for name in gateways for address in found.get(name, []))
        seen = found.get(each.name, [])
        if seen and (not right or _leads_to(seen, right)):
            continue
        record = _record(each, right, gateways)
        records.append(record)
        if strict:
            what = f"leads to {', '.join(seen)}" if seen else "does not resolve"
            aim = f", not to {', '.join(sorted(right))}" if seen else ""
            fix = f'Make the DNS record "{record}", or set mesh_dns_check: warn where no DNS is expected'
            problems.add(each.where, each.variable, each.name, f"seen from the controller it {what}{aim}", fix)
    if strict or not records:
        return []
    listed = "; ".join(dict.fromkeys(records))
    return [f"Seen from the controller these names do not lead to their hosts. The DNS records to make: {listed}"]


def _leads_to(seen: list[str], right: set[str]) -> bool:
    """Each address of a family that is known must be a right one; of another family nothing is known."""
    families = {":" in address for address in right}
    judged = [address for address in seen if (":" in address) in families]
    return bool(judged) and all(address in right for address in judged)


def _outer(value: object) -> list[str]:
    address = ip_address(value)
    # An inner address says nothing about a public name.
    return [] if address is None or is_inner(value) else [str(address)]


def _record(each: Name, right: set[str], gateways: list[str]) -> str:
    if right:
        return "; ".join(f"{each.name}. {'AAAA' if ':' in address else 'A'} {address}" for address in sorted(right))
    if each.where == "group gateways" and gateways:
        return f"{each.name}. CNAME {gateways[0]}."
    return f"{each.name}. A <public address of {each.where}>"
