# SPDX-License-Identifier: MIT
"""Run programs, with a time limit on each."""

from __future__ import annotations

import collections
import os
import subprocess
import sys
import threading
import typing as t

from fleet import FleetError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

# In process and mount namespaces of its own, a program dies with all that it has started and mounted.
NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")
Completed = subprocess.CompletedProcess[str]
TOLD = 8  # lines of a failed program's output in the error


def run(*argv: str, stdin: str | None = None, timeout: float = 60, check: bool = True) -> Completed:
    """Run a program to its end and return what it printed; a failure (unless `check` is off) tells what it said."""
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    except FileNotFoundError as error:
        raise FleetError(f"the program {argv[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise _late(argv, timeout) from error
    if check and done.returncode != 0:
        raise _failed(argv, done.returncode, (done.stderr.strip() or done.stdout.strip()).splitlines())
    return done


def follow(*argv: str, progress: Callable[[str], None], timeout: float, cwd: Path | None = None) -> None:
    """Run a long program to its end, contained where we may, and hand each line that it prints to `progress`."""
    lines: collections.deque[str] = collections.deque(maxlen=TOLD)
    with subprocess.Popen(
        [*contained(), *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd=cwd,
    ) as process:
        limit = threading.Timer(timeout, process.kill)
        limit.start()
        try:
            for line in t.cast("t.IO[str]", process.stdout):
                lines.append(line.strip())
                progress(line.strip()[:100])
            process.wait()
        except BaseException:
            process.kill()
            raise
        finally:
            late = not limit.is_alive()
            limit.cancel()
    if late:
        raise _late(argv, timeout)
    if process.returncode != 0:
        raise _failed(argv, process.returncode, lines)


def tied() -> tuple[str, ...]:
    """What to put before a command so that it ends when we do, where the system can do that."""
    return ("setpriv", "--pdeathsig", "TERM") if sys.platform == "linux" else ()


def contained() -> tuple[str, ...]:
    """What to put before a command so that it dies with all that it has started, as soon as we do; that needs root."""
    return ("setpriv", "--pdeathsig", "KILL", *NAMESPACES) if sys.platform == "linux" and not os.geteuid() else tied()


def _late(argv: tuple[str, ...], timeout: float) -> FleetError:
    return FleetError(f"{_short(argv)}: not done after {timeout:.0f} s")


def _failed(argv: tuple[str, ...], status: int, lines: Iterable[str]) -> FleetError:
    said = "\n".join(f"    {line}" for line in list(lines)[-TOLD:]) or "    (it said nothing)"
    return FleetError(f"{_short(argv)}: exit status {status}:\n{said}")


def _short(argv: tuple[str, ...]) -> str:
    """A command line without the text of a script in it."""
    return " ".join(word for word in argv if "\n" not in word)
