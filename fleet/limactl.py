# SPDX-License-Identifier: MIT
"""Lima's own command, with a home of its own for each fleet, so that nobody else's machines are touched."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import typing as t
from pathlib import Path

from fleet import FleetError
from fleet.shell import run, tied

if t.TYPE_CHECKING:
    Instance = dict[str, t.Any]

OLDEST = (2, 0)
ASKED = 60.0  # seconds for a question
START = 1200.0  # seconds for a machine's first boot, with its image's download
SOCKET = 104  # bytes of a socket's path on macOS, its end included
LONGEST = len("/ssh.sock.0123456789012345")
TOLD = 8  # lines of limactl's in an error
CONSOLE = 12  # lines of a machine's console in an error


class Limactl:
    """limactl, and the machines in ``home``."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._running: set[subprocess.Popen[str]] = set()
        self._cancelled = False

    def check(self, names: list[str]) -> None:
        """Refuse what would fail later, or worse: no limactl, an old one, root, a path too long for a socket."""
        if os.geteuid() == 0:
            raise FleetError("limactl does not run as root; run this as an ordinary user")
        said = self._run("--version").strip()
        version = re.search(r"(\d+)\.(\d+)", said)
        if not version:
            raise FleetError(f"limactl says {said!r} of its version; Lima {OLDEST[0]}.{OLDEST[1]} or newer is needed")
        if (int(version[1]), int(version[2])) < OLDEST:
            raise FleetError(
                f"this is Lima {version[0]}; {OLDEST[0]}.{OLDEST[1]} or newer is needed: brew upgrade lima"
            )
        for name in names:
            path = f"{self.home}/{name}"
            if len(os.fsencode(path)) + LONGEST >= SOCKET:
                raise FleetError(f"the sockets in {path} would have too long names; give {name} a shorter one")

    def list(self) -> dict[str, Instance]:
        """The machines by name, as limactl tells them, one JSON object a line."""
        if not self.home.is_dir():
            return {}
        lines = [line for line in self._run("list", "--format", "json").splitlines() if line.strip()]
        try:
            found = [json.loads(line) for line in lines]
            return {each["name"]: each for each in found}
        except (ValueError, KeyError, TypeError):
            raise FleetError(f"limactl list prints what is no list of machines: {lines[0][:200]!r}") from None

    def start(self, name: str, template: Path | None) -> None:
        """Start a machine; with ``template``, one that is not there yet."""
        which = [f"--name={name}", str(template)] if template else [name]
        try:
            self._run("start", f"--timeout={START - ASKED:.0f}s", *which, seconds=START)
        except FleetError as error:
            raise FleetError(f"the host {name} did not come up: {error}\n{self._console(name)}") from None

    def delete(self, name: str) -> None:
        """Remove a machine, running or not, broken or not."""
        place = self.home / name
        if place.is_dir() and not (place / "lima.yaml").exists():
            shutil.rmtree(place)  # of a limactl that was killed as it began; it would not delete that
        else:
            self._run("delete", "--force", name)

    def end_networks(self) -> None:
        """End the daemons of the networks, which outlive the machines."""
        for file in (self.home / "_networks").glob("*/*.pid"):
            pid = file.read_text(encoding="ascii").strip()
            if pid.isdecimal() and "usernet" in _command(pid):  # since the last boot the number may be another's
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGTERM)

    def cancel(self) -> None:
        """End all calls that are under way in other threads, and those that they begin from now on."""
        self._cancelled = True
        for process in list(self._running):
            process.terminate()

    def _run(self, *arguments: str, seconds: float = ASKED) -> str:
        command = ["limactl", "--tty=false", *arguments]
        if not shutil.which("limactl"):
            raise FleetError("there is no limactl; install Lima 2.0 or newer (brew install lima)")
        with subprocess.Popen(
            [*tied(), *command],
            env={**os.environ, "LIMA_HOME": str(self.home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process:
            self._running.add(process)
            if self._cancelled:
                process.terminate()
            try:
                output, errors = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                raise FleetError(f"{' '.join(command)}: not done after {seconds:.0f} s") from None
            finally:
                self._running.discard(process)
                process.kill()
        if process.returncode:
            lines = (errors.strip() or output.strip()).splitlines()[-TOLD:]
            said = "\n".join(f"    {line}" for line in lines)
            raise FleetError(f"{' '.join(command)}: exit status {process.returncode}:\n{said}")
        return output

    def _console(self, name: str) -> str:
        """The end of a machine's console."""
        logs = sorted((self.home / name).glob("serial*.log"), key=lambda path: path.stat().st_size)
        text = logs[-1].read_text(encoding="utf-8", errors="replace") if logs else ""
        lines = [f"    {line}" for line in text.splitlines()[-CONSOLE:]]
        return "the end of its console:\n" + ("\n".join(lines) or "    (empty)")


def _command(pid: str) -> str:
    """The command line of a process; empty if it is gone."""
    if Path("/proc/self").exists():
        file = Path(f"/proc/{pid}/cmdline")
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    return run("ps", "-o", "command=", "-p", pid, check=False).stdout
