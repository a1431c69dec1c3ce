# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The part of a terminal that moves while a run goes on: one line for the run and one for each host."""

from __future__ import annotations

import os
import sys
import typing as t

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ansible_collections.wonder.mesh.plugins.plugin_utils._progress import RUNNING, Progress, clock_time

if t.TYPE_CHECKING:
    from rich.console import RenderableType

# Blue, yellow and magenta differ for every kind of colour vision, and each stands beside a word of its own.
STYLES = {RUNNING: "bold", "changed": "yellow", "ok": "blue", "FAILED": "bold magenta", "unreachable": "bold magenta"}
PER_SECOND = 4
BAR = 24  # columns
AROUND = 5  # lines that are not for hosts: the run's own two, the rest's, and what the shell needs


class _Console(Console):
    """Never takes the cursor away: a run that is killed could not give it back."""

    def show_cursor(self, show: bool = True) -> bool:
        return False


class View:
    """Shows the progress until ``stop``; what is written to stdout and stderr meanwhile scrolls by above it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        # Ansible locks its stdout while it writes there, and what it writes comes here. If the moving lines waited for
        # the same lock, both would wait for ever, so they have a way of their own to the terminal.
        self._terminal = open(os.dup(sys.stdout.fileno()), "w", encoding=sys.stdout.encoding)  # noqa: SIM115
        self._console = _Console(file=self._terminal, highlight=False, markup=False, emoji=False)
        self._live = Live(
            console=self._console,
            get_renderable=self.render,
            refresh_per_second=PER_SECOND,
            transient=True,
            vertical_overflow="crop",
        )
        self._live.start()

    def stop(self) -> None:
        """Leave the terminal as it was; it may be called again."""
        self._live.stop()
        self._terminal.close()

    def render(self) -> RenderableType:
        """How it looks now."""
        progress = self._progress
        head = Table.grid(padding=(0, 2))
        head.add_row(
            clock_time(progress.elapsed),
            ProgressBar(1.0, progress.share, width=BAR, complete_style="blue", finished_style="blue"),
            f"{progress.share:.0%}",
            f"play {progress.play} of {progress.plays}: {progress.title}" if progress.play else "",
        )
        room = max(1, self._console.height - AROUND)
        shown, others = progress.rows(room)
        hosts = Table.grid(padding=(0, 2))
        for _ in range(4):
            hosts.add_column(no_wrap=True, overflow="ellipsis")
        for host in shown:
            seconds = clock_time(progress.elapsed - host.since) if host.state == RUNNING else ""
            state = Text(host.state, style=STYLES.get(host.state, "dim"))
            hosts.add_row(Text(f"  {host.name}"), state, Text(host.task), seconds)
        rest = [Text(f"  and {others} more", style="dim")] if others else []
        return Group(head, hosts, *rest)


def is_terminal() -> bool:
    """Whether there is a terminal on which lines can move."""
    console = Console()
    return console.is_terminal and not console.is_dumb_terminal
