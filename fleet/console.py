# SPDX-License-Identifier: MIT
"""Progress for a person: a line that moves on a terminal (rich), plain lines elsewhere; everything goes to stderr.

A step that takes less than two seconds says one line when it ends; a longer one shows that it is alive.
"""

from __future__ import annotations

import contextlib
import threading
import time
import typing as t

from rich.console import Console as RichConsole

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUIET = 2.0  # seconds before a plain step says that it has begun
BEAT = 15.0  # seconds between signs of life of a plain step


class Console:
    """Where steps and remarks are printed. rich itself honours NO_COLOR and knows whether stderr is a terminal."""

    def __init__(self) -> None:
        self._rich = RichConsole(stderr=True, highlight=False, markup=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """Print one remark."""
        self._rich.print(text)

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """Show a step while the block runs; the block may call what it gets with a word on how far it is."""
        started = time.monotonic()
        detail = [""]
        with self._moving(title, detail, started):
            yield lambda text: detail.__setitem__(0, text)
        self._rich.print(f"done  {title} ({time.monotonic() - started:.1f} s)", style="green")

    @contextlib.contextmanager
    def _moving(self, title: str, detail: list[str], started: float) -> Iterator[None]:
        ended = threading.Event()
        status = self._rich.status(title) if self._rich.is_terminal else None

        def text() -> str:
            return f"{title} {time.monotonic() - started:.0f} s {detail[0]}".rstrip()

        def live() -> None:
            wait = 0.5 if status else QUIET
            while not ended.wait(wait):
                if status:
                    status.update(text())
                else:
                    self._rich.print(f"...   {text()}")
                    wait = BEAT

        ticker = threading.Thread(target=live, daemon=True)
        with status or contextlib.nullcontext():
            ticker.start()
            try:
                yield
            finally:
                ended.set()
                ticker.join()
