# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""What a daemon would read from a file, where no checker of its own judges that."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils import _derp_map
from ansible_collections.wonder.mesh.plugins.module_utils._daemon import DaemonError

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.module_utils._files import File

RATE = "PerClientRateLimitBytesPerSec"


def judge(files: t.Iterable[File]) -> None:
    """Raises DaemonError for a file whose wanted content its own judge refuses."""
    for file in files:
        if file.judge:
            try:
                JUDGES[file.judge](file.content or b"")
            except ValueError as exc:
                raise DaemonError(
                    f"{file.path} would be damaged, and stays as it is: {exc}. Correct what it is made from."
                ) from None


def _limits(content: bytes) -> None:
    """derper takes keys that it does not know, and says nothing of a reload that failed."""
    limits = json.loads(content)
    if not isinstance(limits, dict) or limits.keys() != {RATE}:
        raise ValueError(f"it must be a mapping with {RATE} and nothing else")
    if type(limits[RATE]) is not int or limits[RATE] < 1:
        raise ValueError(f"{RATE} is {limits[RATE]!r}, and must be a number of bytes above 0")


JUDGES: dict[str, t.Callable[[bytes], object]] = {"derp_map": _derp_map.read, "derper_limits": _limits}
