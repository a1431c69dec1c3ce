# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The part of Caddy's JSON by which several gateways get certificates for the same names over HTTP.

A certificate authority asks whichever of them DNS leads it to, and each answers for itself only. What it does not know
it asks the others, at port 80, where they are for the internet too. The answer is no secret. Verified with Caddy 2.11.
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Sequence

CHALLENGES = "/.well-known/acme-challenge/*"
HANDED_ON = "Mesh-Handed-On"  # what one gateway asks the others for, those do not ask for in turn
DIAL_TIMEOUT = "2s"
ANSWER_TIMEOUT = "3s"  # an authority waits for about ten seconds


def handed_on(others: Sequence[str], names: Sequence[str]) -> list[dict[str, t.Any]]:
    """The route for what this gateway does not know itself. others: the public addresses of the other gateways."""
    if not (others and names):
        return []
    match = {"host": list(names), "path": [CHALLENGES], "header": {HANDED_ON: None}}
    return [{"match": [match], "handle": [_ask(each) for each in others]}]


def _ask(address: str) -> dict[str, t.Any]:
    """One that does not know it either, or is down, leaves it to the next handler."""
    passed = [{"handle": [{"handler": "vars"}]}]
    proxy = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"[{address}]:80" if ":" in address else f"{address}:80"}],
        "transport": {"protocol": "http", "dial_timeout": DIAL_TIMEOUT, "response_header_timeout": ANSWER_TIMEOUT},
        "headers": {"request": {"set": {HANDED_ON: ["1"]}}},
        "handle_response": [{"match": {"status_code": [3, 4, 5]}, "routes": passed}],
    }
    return {"handler": "subroute", "routes": [{"handle": [proxy]}], "errors": {"routes": passed}}
