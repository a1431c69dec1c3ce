# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The checks that need more than the inventory: certificate files, the date and DNS."""

from __future__ import annotations

import dataclasses
import typing as t

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from ansible_collections.wonder.mesh.plugins.plugin_utils._acme import check_acme_files, covers
from ansible_collections.wonder.mesh.plugins.plugin_utils._public_names import check_names, public_names

if t.TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Collection, Sequence

    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Service
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


def look_outside(
    inventory: Inventory,
    coordinator: str | None,
    server: str | None,
    services: list[Service],
    strict: bool,
    world: World,
    problems: Problems,
) -> list[str]:
    """Certificates and DNS. Returns the warnings.

    Where no public authority is asked for a name of HTTP, it may be one that only some machines know.
    """
    web = sorted({service["host"] for service in services if service["protocol"] == "http"})
    internal = [service["host"] for service in services if service["certificate"] == "internal"]
    gateways = inventory.groups["gateways"]
    given = set(web)  # what all gateways have a file for
    for host in dict.fromkeys([*([coordinator] if coordinator else []), *gateways]):
        names = [server] if host == coordinator and server else []
        names += web if host in gateways else []
        found = check_certificates(inventory, host, names, internal, world, problems)
        given = given & set(found) if host in gateways else given
        check_acme_files(inventory, host, names, world, problems)
    quiet = {*internal, *(given if gateways else ())}
    served = {
        service["host"]: f"{service['name']} in mesh_services"
        for service in services
        if service["host"] and not (service["protocol"] == "http" and service["host"] in quiet)
    }
    names_to_check, gateway_names = public_names(inventory, coordinator, served, problems)
    return check_names(names_to_check, gateway_names, world, strict, problems)


def check_certificates(
    inventory: Inventory, host: str, names: list[str], internal: list[str], world: World, problems: Problems
) -> list[str]:
    """names: what the host serves, internal: those of them that are to have a certificate of its own authority.

    Returns those that a file covers. All others are left to Caddy's automatic HTTPS.
    """
    value = inventory.get(host, VARIABLE, problems)
    if value is None or value == []:
        return []
    if not isinstance(value, list):
        problems.add(host, VARIABLE, value, "it must be a list", "Write it as a list of {certificate: FILE, key: FILE}")
        return []
    covered: set[str] = set()
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
        patterns = check_pair(host, where, item, names, world, problems)
        covered.update(name for name in names if any(covers(pattern, name) for pattern in patterns))
        twice = sorted(set(internal).intersection(patterns))
        if twice:
            reason = f"{twice[0]} is to have one of the gateway's own authority, by mesh_services"
            fix = "Make one without this name, or take certificate: internal away"
            problems.add(host, f"{where}.certificate", item["certificate"], reason, fix)
    return sorted(covered)


def check_pair(
    host: str, where: str, item: dict[str, str], names: list[str], world: World, problems: Problems
) -> list[str]:
    """item: the files of a certificate and its key; names: what it must be for, one of them. Returns what it is for."""

    def wrong(kind: str, reason: str, fix: str) -> None:
        problems.add(host, f"{where}.{kind}", item[kind], reason, fix)

    content: dict[str, bytes] = {}
    for kind in ("certificate", "key"):
        try:
            content[kind] = world.read_file(item[kind])
        except OSError as exc:
            wrong(kind, f"the file cannot be read: {exc.strerror or exc}", "Name a file that is on the controller")
    if "certificate" not in content:
        return []
    try:
        certificate = x509.load_pem_x509_certificates(content["certificate"])[0]
        public_key = _der(certificate.public_key())
        covered = _names_in(certificate)
    except (ValueError, IndexError, UnsupportedAlgorithm):
        wrong("certificate", "the file holds no certificate in PEM", "Name the file of the certificate and its chain")
        return []
    if certificate.not_valid_after_utc < world.now:
        wrong("certificate", f"it expired on {certificate.not_valid_after_utc:%Y-%m-%d}", "Renew it")
    if certificate.not_valid_before_utc > world.now:
        reason = f"it is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        wrong("certificate", reason, "Wait, or correct the controller's clock")
    if names and not any(covers(pattern, name) for pattern in covered for name in names):
        reason = f"it is for {', '.join(covered) or 'no name'}, and none of that is served here"
        wrong("certificate", reason, f"Name a certificate for {', '.join(names)}, or remove it")
    if "key" in content:
        try:
            own_key = _der(serialization.load_pem_private_key(content["key"], None).public_key())
        except (ValueError, TypeError, UnsupportedAlgorithm):
            wrong("key", "the file holds no private key in PEM without a password", "Name the file of the key")
            return covered
        if own_key != public_key:
            wrong(
                "key", f"it is not the key of {item['certificate']}", "Name the key that the certificate was made for"
            )
    return covered


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
