# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Asks a Headscale for its nodes from afar, over its REST API, and makes hosts of them."""

from __future__ import annotations

import ipaddress
import json
import ssl
import typing as t
import urllib.error
import urllib.parse

from ansible.module_utils.urls import ConnectionError as OfUrls
from ansible.module_utils.urls import SSLValidationError, open_url

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    Node = dict[str, t.Any]

PATH = "/api/v1/node"
PAGES = 1000  # more than this is no list that ends
TUNNEL = (
    "Our coordinator serves the API on its own loopback only:"
    " `ssh -N -L 8080:127.0.0.1:8080 COORDINATOR` brings it here"
)


class ApiError(Exception):
    """What was found, what was expected and what to do. Never holds the key."""


def nodes(url: str, key: str, *, ca_file: str | None, timeout: float) -> list[Node]:
    """All nodes. Headscale 0.29 sends them at once; a page with a token for the next one is followed."""
    base = _checked(url)
    found: list[Node] = []
    token = ""
    for _ in range(PAGES):
        query = f"?{urllib.parse.urlencode({'pageToken': token})}" if token else ""
        answer = _get(f"{base}{PATH}{query}", key, ca_file, timeout)
        if not isinstance(answer, dict) or not isinstance(answer.get("nodes", []), list):
            raise ApiError(f"url: {base} does not answer as Headscale does; set url to where its API is. {TUNNEL}")
        found += answer.get("nodes", [])
        token = answer.get("nextPageToken") or ""
        if not token:
            return found
    raise ApiError(f"url: {base} sends ever more pages; set url to where Headscale's API is")


def hosts(found: Iterable[Node], family: str, offline: bool) -> list[tuple[str, dict[str, t.Any], list[str]]]:
    """Of each node, by name: its name, its variables and its groups."""
    wanted = [each for each in found if offline or each.get("online")]
    return [
        (each["givenName"], _variables(each, family), _groups(each))
        for each in sorted(wanted, key=lambda each: str(each["givenName"]))
    ]


def _checked(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ApiError(f'url: found "{url}", expected https://NAME or, for a forwarded port, http://127.0.0.1:PORT')
    if parts.username or parts.password:
        raise ApiError("url: a name and a password in it are not used; Headscale wants an API key")
    if parts.scheme == "http" and not _is_here(parts.hostname):
        raise ApiError(f'url: found "{url}", over which the API key would travel in the clear; use https. {TUNNEL}')
    return url.rstrip("/").removesuffix("/api/v1")


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _get(url: str, key: str, ca_file: str | None, timeout: float) -> t.Any:
    place = url.split("?")[0]
    headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
    try:
        with open_url(
            url,
            headers=headers,
            timeout=timeout,
            ca_path=ca_file,
            validate_certs=True,
            follow_redirects="none",
            use_netrc=False,
        ) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as exc:
        raise ApiError(_refused(place, exc.code, exc.headers.get("Location"))) from None
    except (SSLValidationError, ssl.SSLError) as exc:  # before ValueError, which some of them are
        raise ApiError(_untrusted(place, exc)) from None
    except ValueError:
        raise ApiError(
            f"url: {place} does not answer as Headscale does; set url to where its API is. {TUNNEL}"
        ) from None
    except TimeoutError:
        raise ApiError(_slow(place, timeout)) from None
    except (urllib.error.URLError, OfUrls, OSError) as exc:
        reason = getattr(exc, "reason", exc)
        if isinstance(reason, (ssl.SSLError, SSLValidationError)):
            raise ApiError(_untrusted(place, reason)) from None
        if isinstance(reason, TimeoutError):
            raise ApiError(_slow(place, timeout)) from None
        raise ApiError(f"url: {place} cannot be reached: {reason}. See that Headscale runs. {TUNNEL}") from None


def _untrusted(place: str, reason: object) -> str:
    said = getattr(reason, "verify_message", None) or str(reason)
    return (
        f"url: the certificate of {place} is not trusted: {said}. Set ca_file to the certificate of the authority that"
        " signed it, and url to a name that is in it"
    )


def _slow(place: str, timeout: float) -> str:
    return f"url: {place} did not answer within {timeout} s; see that Headscale runs, or set a longer timeout"


def _refused(place: str, status: int, location: str | None) -> str:
    if status in (401, 403):
        return (
            f"{place} does not take the API key ({status}). It may have expired: `headscale apikeys list` shows that,"
            " and `headscale apikeys create` makes a new one"
        )
    if location:
        return f"url: {place} sends us on to {location}; set url to where Headscale's API is"
    if status == 404:
        return f"url: {place} is not there (404). {TUNNEL}"
    return f"{place} answers {status}; see Headscale's journal"


def _variables(each: Node, family: str) -> dict[str, t.Any]:
    addresses = [str(address) for address in each.get("ipAddresses") or []]
    version = 6 if family == "ipv6" else 4
    preferred = [address for address in addresses if ipaddress.ip_address(address).version == version]
    variables = {
        "headscale_id": str(each.get("id", "")),
        "headscale_hostname": each.get("name") or "",
        "headscale_user": _user(each),
        "headscale_tags": _tags(each),
        "headscale_addresses": addresses,
        "headscale_online": bool(each.get("online")),
        "headscale_last_seen": each.get("lastSeen"),
        "headscale_expiry": each.get("expiry"),
        "headscale_routes": sorted(each.get("approvedRoutes") or []),
        "headscale_available_routes": sorted(each.get("availableRoutes") or []),
    }
    reached = (preferred or addresses)[:1]
    return {**({"ansible_host": reached[0]} if reached else {}), **variables}


def _groups(each: Node) -> list[str]:
    tags = _tags(each)
    user = _user(each)
    return [f"tag_{tag.removeprefix('tag:')}" for tag in tags] or ([f"user_{user}"] if user else [])


def _tags(each: Node) -> list[str]:
    return sorted(str(tag) for tag in each.get("tags") or [])


def _user(each: Node) -> str:
    """Whom the node belongs to; a tagged node belongs to nobody, whatever pseudo user Headscale tells."""
    return "" if _tags(each) else str((each.get("user") or {}).get("name") or "")
