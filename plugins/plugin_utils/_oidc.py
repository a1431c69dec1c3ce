# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""How people log in to the mesh, as far as the inventory says it. The client's secret is never said, even if wrong."""

from __future__ import annotations

import re
import typing as t
import urllib.parse

from ansible_collections.wonder.mesh.plugins.plugin_utils._options import players, value_of
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import HIDDEN, dns_name, ip_address, printable

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
    from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems
    from ansible_collections.wonder.mesh.plugins.plugin_utils._world import World

VARIABLE = "headscale_oidc"
SECRET, SECRET_FILE = "headscale_oidc_secret", "headscale_oidc_secret_file"
ALLOWED = ("allowed_users", "allowed_domains", "allowed_groups")
KEYS = ("issuer", "client_id", *ALLOWED, "scopes", "expiry_days")
EXAMPLE = "{issuer: https://auth.example.com, client_id: mesh, allowed_users: [alice@example.com]}"
MAIL = re.compile(r"[^@\s\"]{1,64}@[A-Za-z0-9.-]{1,253}", re.ASCII)
EXPIRY_DAYS = range(3651)


def check_oidc(inventory: Inventory, problems: Problems) -> None:
    """What the inventory says of itself."""
    for host in players(inventory, "headscale"):
        settings = value_of(inventory, host, VARIABLE) or {}
        secrets = [name for name in (SECRET, SECRET_FILE) if inventory.get(host, name, problems) not in (None, "")]
        if not settings:
            if secrets:
                reason = "no login is named that it is for"
                problems.add(host, secrets[0], HIDDEN, reason, f"Set {VARIABLE} like {EXAMPLE}, or remove it")
            continue
        _check_keys(host, settings, problems)
        if len(secrets) > 1:
            problems.add(host, SECRET, HIDDEN, f"{SECRET_FILE} is set too", "Keep one of the two")
        elif not secrets:
            reason, fix = "the issuer gives it to the client", f"Set it from a vault, or name a file in {SECRET_FILE}"
            problems.add(host, SECRET, None, reason, fix)
        elif secrets == [SECRET] and not _is_secret(value_of(inventory, host, SECRET)):
            problems.add(host, SECRET, HIDDEN, "it must be one line of signs", "Take it as the issuer gives it")


def check_oidc_file(inventory: Inventory, world: World, problems: Problems) -> None:
    """The secret that comes from a file."""
    for host in players(inventory, "headscale"):
        path = value_of(inventory, host, SECRET_FILE)
        if not path or not value_of(inventory, host, VARIABLE):
            continue
        try:
            secret = world.read_file(path)
        except OSError as exc:
            reason = f"the file cannot be read: {exc.strerror or exc}"
            problems.add(host, SECRET_FILE, path, reason, "Name a file that is on the controller")
        else:
            if not _is_secret(secret.decode("latin-1").strip()):
                reason = "it does not hold one line of signs"
                problems.add(host, SECRET_FILE, path, reason, "Put the secret in it as the issuer gives it")


def _check_keys(host: str, settings: dict[str, t.Any], problems: Problems) -> None:
    for key in sorted(set(settings) - set(KEYS)):
        # It may be the secret, in the wrong place.
        problems.add(
            host, f"{VARIABLE}.{key}", HIDDEN, "there is no such key", f"Use {', '.join(KEYS)}; the secret is {SECRET}"
        )
    for key, right, reason, fix in (
        ("issuer", _is_issuer, "it must be the https address of the issuer", "Set it like https://auth.example.com"),
        ("client_id", _is_text, "it must be a text", "Set it to the name that the issuer has for this mesh"),
    ):
        if not right(settings.get(key)):
            problems.add(host, f"{VARIABLE}.{key}", settings.get(key), reason, fix)
    for key, right, fix in (
        ("allowed_users", _is_mail, "Write it like [alice@example.com]"),
        ("allowed_domains", lambda each: dns_name(each) == each, "Write it like [example.com]"),
        ("allowed_groups", _is_text, "Write it like [family]"),
        ("scopes", _is_scope, "Write it like [openid, profile, email, groups], or leave it out"),
    ):
        value = settings.get(key)
        if value is not None and not (isinstance(value, list) and value and all(map(right, value))):
            problems.add(host, f"{VARIABLE}.{key}", value, "it must be a list of such as may be there", fix)
    if not any(settings.get(key) for key in ALLOWED):
        reason = "whoever has an account at the issuer could join"
        problems.add(host, f"{VARIABLE}.allowed_users", None, reason, f"Name somebody in {', '.join(ALLOWED)}")
    if "scopes" in settings and isinstance(settings["scopes"], list) and "openid" not in settings["scopes"]:
        problems.add(host, f"{VARIABLE}.scopes", settings["scopes"], "it is no login without openid", "Add openid")
    days = settings.get("expiry_days", 0)
    if isinstance(days, bool) or not isinstance(days, int) or days not in EXPIRY_DAYS:
        reason = f"it must be 0 to {EXPIRY_DAYS[-1]} days"
        problems.add(host, f"{VARIABLE}.expiry_days", days, reason, "Set it to that (0 is for ever), or leave it out")


def _is_issuer(value: object) -> bool:
    """An https address, or one on the coordinator's own loopback; without anything that would hold a secret."""
    if not isinstance(value, str) or not printable(value) or " " in value:
        return False
    try:
        parts = urllib.parse.urlsplit(value)
        host = parts.hostname or ""
        address = ip_address(host)
        plain = "@" not in parts.netloc and not parts.query and not parts.fragment and (parts.port or 443) > 0
    except ValueError:
        return False
    if not plain or (dns_name(host) is None and address is None):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and address is not None and address.is_loopback)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and printable(value)


def _is_secret(value: object) -> bool:
    return _is_text(value) and str(value) == str(value).strip()


def _is_mail(value: object) -> bool:
    return isinstance(value, str) and MAIL.fullmatch(value) is not None


def _is_scope(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[!#-\[\]-~]+", value) is not None
