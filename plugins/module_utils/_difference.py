# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""What is not as wanted on a host, and how a module says so."""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.module_utils._files import Directory, File, Found


@dataclasses.dataclass(frozen=True)
class Difference:
    """One thing that is not as wanted, with what a diff shows of it."""

    header: str
    before: str
    after: str
    file: File | None = None
    directory: Directory | None = None
    found: Found | None = None


def report(differences: list[Difference]) -> dict[str, t.Any]:
    """The part of a module's result that every one has: whether something differs, and the diff that shows it."""
    diff = [
        {"before_header": each.header, "after_header": each.header, "before": each.before, "after": each.after}
        for each in differences
    ]
    return {"changed": bool(differences), "diff": diff}
