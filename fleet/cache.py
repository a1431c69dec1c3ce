# SPDX-License-Identifier: MIT
"""Things that are made once: each is a directory of the user's cache that appears by rename when it is whole.

A build that was killed leaves at most `.NAME.partial`, which the next build of the same thing removes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
import typing as t
from pathlib import Path

from fleet import FleetError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 1800.0  # seconds that another build of the same thing may take


def root() -> Path:
    """The cache directory of Wonder Mesh."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wonder-mesh"


def entry(name: str, build: Callable[[Path], None]) -> Path:
    """The entry `name`; `build` fills the empty directory that it is given if the entry is not there yet."""
    final = root() / name
    if final.is_dir():
        return final
    root().mkdir(parents=True, exist_ok=True)
    with _alone(root() / f".{name}.lock"):
        if not final.is_dir():
            partial = root() / f".{name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            build(partial)
            partial.rename(final)
    return final


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock; two checkouts may want the same entry at once."""
    deadline = time.monotonic() + PATIENCE
    with path.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise FleetError(f"{path} has been held by another build for {PATIENCE / 60:.0f} minutes") from None
                time.sleep(0.5)
        yield
        path.unlink(missing_ok=True)
