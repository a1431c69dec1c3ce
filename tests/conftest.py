# SPDX-License-Identifier: MIT
"""For all tests."""

from __future__ import annotations

import os
import signal
import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    import pytest

# test.sh starts some runs in the background, where a shell lets programs ignore Ctrl-C, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """For the end of test.sh, which tells what failed in any of its runs."""
    if file := os.environ.get("WONDER_MESH_FAILED"):
        broken = [*terminalreporter.getreports("failed"), *terminalreporter.getreports("error")]
        with Path(file).open("a", encoding="utf-8") as stream:
            for report in broken:
                crash = getattr(report.longrepr, "reprcrash", None)
                reason = crash.message if crash else report.longreprtext
                stream.write(f"{report.nodeid} ({report.when}): {' '.join(reason.split())[:300]}\n")
