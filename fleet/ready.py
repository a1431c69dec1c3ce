# SPDX-License-Identifier: MIT
"""Wait until hosts are up: sshd greets inside each host's namespace, and then systemd says that the boot has ended."""

from __future__ import annotations

import concurrent.futures
import ctypes
import os
import socket
import threading
import time
import typing as t

from fleet import FleetError, cgroups, network
from fleet.machine import NETNS
from fleet.shell import run

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fleet.state import State
    from fleet.topology import Host

PATIENCE = 90.0  # seconds until sshd greets
BOOT = 60.0  # seconds from there until systemd has ended the boot
GRACE = 5.0  # seconds in which a supervisor has made its control group
CLONE_NEWNET = 0x40000000  # sched.h
LAST = 12  # lines of a host's console in an error


def wait(state: State, hosts: list[Host], progress: Callable[[str], None]) -> None:
    """Wait for all hosts; an error names each that does not come up and shows its console's end."""
    started: list[str] = []

    def one(host: Host) -> str | None:
        problem = _problem(state, host)
        started.append(host.name)
        progress(f"{len(started)} of {len(hosts)} hosts are up")
        return problem

    progress("waiting for hosts")
    with concurrent.futures.ThreadPoolExecutor(len(hosts)) as pool:
        problems = [problem for problem in pool.map(one, hosts) if problem]
    if problems:
        raise FleetError("\n".join(problems))


def _problem(state: State, host: Host) -> str | None:
    """What keeps a host from being up, or None."""
    machine = network.host_namespace(state.prefix, host.name)
    if not greets(machine, PATIENCE):
        why = "its sshd does not answer" if cgroups.alive(machine) else "its systemd-nspawn has ended"
        return _failed(state, host, why)
    asked = ["ssh", "-F", str(state.ssh_config), host.name, "systemctl", "is-system-running", "--wait"]
    said = run(*asked, timeout=BOOT, check=False)
    if said.stdout.strip() in {"running", "degraded"}:
        return None
    return _failed(state, host, f"its systemd says {said.stdout.strip() or said.stderr.strip() or 'nothing'!r}")


def _failed(state: State, host: Host, why: str) -> str:
    log = state.host(host.name) / "console.log"
    return f"the host {host.name} did not come up: {why}; the end of {log}:\n{_tail(log)}"


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    return "\n".join(f"    {line}" for line in lines[-LAST:]) or "    (empty)"


def greets(machine: str, patience: float) -> bool:
    """Whether the sshd of a host greets within `patience` seconds; False at once when the host has ended."""
    greeted = threading.Event()
    # A thread of its own, since it moves to the host's namespace for good.
    watcher = threading.Thread(target=_watch, args=(machine, patience, greeted), daemon=True)
    watcher.start()
    watcher.join(patience + 5)
    return greeted.is_set()


def _watch(machine: str, patience: float, greeted: threading.Event) -> None:
    enter(machine)
    begun = time.monotonic()
    while (waited := time.monotonic() - begun) < patience:
        if waited > GRACE and not cgroups.alive(machine):
            return
        try:
            with socket.create_connection(("127.0.0.1", 22), timeout=5) as connection:
                if connection.recv(4) == b"SSH-":
                    greeted.set()
                    return
        except OSError:
            pass
        time.sleep(0.1)


def enter(namespace: str) -> None:
    """Move this thread, and no other, into a network namespace."""
    handle = os.open(NETNS / namespace, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(handle, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
    finally:
        os.close(handle)
