# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""Why Headscale refuses a policy, in words."""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Mapping

SHOWN = 5  # reasons that a refusal tells in full
FAILED = re.compile(r"(?P<src>\S+) -> (?P<dst>\S+?)(?: \((?P<proto>\w+)\))?: expected (?P<wanted>ALLOWED|DENIED), .*")


def told(reason: str, needs: Mapping[tuple[str, str, str], str]) -> str:
    """Headscale's reason, and what would be lost by the words of these needs: source, destination, protocol."""
    failed = [match for line in reason.splitlines() if (match := FAILED.fullmatch(line.strip()))]
    if not failed:
        return f"Headscale refuses the policy: {reason}. The one in force stays."
    lost = []
    for each in failed:
        is_need = each["wanted"] == "ALLOWED" and (each["src"], each["dst"], each["proto"]) in needs
        verb = "reaches" if each["wanted"] == "ALLOWED" else "does not reach"
        how = "by SSH" if "/" in each["src"] else f"by {each['proto']}" if each["proto"] else ""  # of SSH: SOURCE/USER
        plain = f"{each['src']} {verb} {each['dst']} {how}".rstrip()
        lost.append(needs[each["src"], each["dst"], each["proto"]] if is_need else plain)
    lost = list(dict.fromkeys(lost))
    more = f"; and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
    return (
        f"the policy is refused, and the one in force stays. With it, this would no longer be so: "
        f"{'; '.join(lost[:SHOWN])}{more}. Allow it in headscale_policy, or take out of mesh_services, mesh_admins or "
        "mesh_grants what is not wanted."
    )
