# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""What a stranger must get from a service that is not for everybody: a stranger has no password and no certificate."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._values import ip_address

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model, Service

SERVED = range(200, 400)
WRONG_METHOD, WRONG_CONTENT = 405, 415  # what a program of gRPC says to a GET
# What Caddy says to a client without a certificate, and what a client sees that was still speaking.
NO_CERTIFICATE, CUT = "certificate required", ("eof occurred", "reset", "closed")


class Expected(t.NamedTuple):
    """Whether an answer is right (None for who can tell), and what is wrong or not known about it."""

    ok: bool | None
    reason: str


def served(service: Service, status: int | None) -> bool:
    """Whether it is the program that answered, and well."""
    if not service["health"] and status in (WRONG_METHOD, WRONG_CONTENT):
        return True
    return status is not None and status in SERVED


def shut_out(model: Model, service: Service, stranger: str) -> bool | None:
    """Whether its networks leave the stranger out; None if nobody knows from where it comes."""
    networks = service["access"]["allow"]
    if not networks:
        return False
    host = model["hosts"].get(stranger)
    address = ip_address(host["public_address"]) if host else None
    return None if address is None else not any(address in ipaddress.ip_network(each) for each in networks)


def expected(model: Model, service: Service, stranger: str, status: int | None, error: str) -> Expected | None:
    """None for who must be served, or gets no answer at all."""
    access, out = service["access"], shut_out(model, service, stranger)
    if access["client_certificates"]:
        said = error.lower().replace("_", " ")
        if status is not None:
            return Expected(False, "who has no certificate")
        if NO_CERTIFICATE in said:
            return Expected(True, "")
        return Expected(None, f"{error}, which may be its refusal") if any(each in said for each in CUT) else None
    if out is None and status == 403:
        return Expected(None, f"it may come from none of {', '.join(access['allow'])}")
    if out:
        return _refused(service, status, (403,), f"is not among {', '.join(access['allow'])}")
    if access["basic_auth"]:
        return _refused(service, status, (401,), "has no password")
    if access["forward_auth"]:
        return _refused(service, status, (*range(300, 400), 401, 403), "is known to no auth service")
    return None


def _refused(service: Service, status: int | None, right: tuple[int, ...], who: str) -> Expected | None:
    if status in right:
        return Expected(True, "")
    return Expected(False, f"who {who}") if served(service, status) else None
