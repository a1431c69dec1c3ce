#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a playbook of Wonder Mesh from a program: started, followed, cancelled, timed out and judged by ansible-runner.

    examples/provision.py --inventory hosts.yml [--playbook verify.yml] [--secrets FILE] [--timeout SECONDS]

It needs ansible-runner beside what requirements.txt has. Ctrl-C, or SIGTERM, cancels. docs/runner.md has the contract.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shlex
import signal
import sys
import threading
import time
import typing as t
import uuid
from pathlib import Path

import ansible_runner
import jsonschema_rs

HERE = Path(__file__).resolve().parent
# All that the run gets of our environment, since ansible-runner writes that to a file of its artifacts.
KEPT = (
    "HOME",
    "LANG",
    "LC_ALL",
    "LOGNAME",
    "PATH",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "TERM",
    "TMPDIR",
    "USER",
    "XDG_CACHE_HOME",
)
CHECKS = {"wonder.mesh.mesh_model", "ansible.builtin.validate_argument_spec"}
LOCK = "wonder.mesh.mesh_lock"
NO_INVENTORY = {"README.md", "none.yaml", "result.json"}  # what else may lie where an inventory does
# How a run ended, with our exit status.
STATUSES = {
    "kept": 0,  # every promise of the inventory is kept
    "failed": 1,  # a task failed; the messages say which, why and what to do
    "broken": 2,  # all was set up, and what was measured is not what the inventory promises
    "refused": 3,  # an argument or the inventory has mistakes; nothing was changed
    "unreachable": 4,  # a host did not answer; the others were provisioned
    "timeout": 5,
    "cancelled": 6,
    "busy": 7,  # another run works on this inventory; nothing was changed
}


@dataclasses.dataclass
class Run:
    """What the events of a run have told so far."""

    started: float = dataclasses.field(default_factory=time.monotonic)
    play: str = ""
    unreachable: set[str] = dataclasses.field(default_factory=set)
    failures: list[str] = dataclasses.field(default_factory=list)
    actions: set[str] = dataclasses.field(default_factory=set)  # of the tasks that failed
    result: dict[str, t.Any] | None = None

    def handle(self, event: dict[str, t.Any]) -> bool:
        """One event; ansible-runner calls this while the run goes on, and keeps the event if it is told so."""
        kind, data = event["event"], event.get("event_data") or {}
        if kind == "playbook_on_play_start":
            self.play = data["name"]
            self._show(self.play)
        elif kind == "runner_on_start":
            self._show(f"  {data['host']}: {data['task']} ...")
        elif kind == "runner_on_ok" and data["res"].get("changed"):
            self._show(f"  {data['host']}: {data['task']}: changed, {data['duration']:.1f} s")
        elif kind == "runner_on_unreachable":
            self.unreachable.add(data["host"])
            self._fail(data)
        elif kind == "runner_on_failed" and not data.get("ignore_errors"):
            self.actions.add(data.get("resolved_action") or data["task_action"])
            self._fail(data)
        elif kind == "playbook_on_stats":
            self.result = (data.get("artifact_data") or {}).get("wonder_mesh")
        return True

    def status(self, ended: str) -> str:
        """How it ended, in a word of STATUSES; ``ended`` is ansible-runner's word."""
        if ended in ("canceled", "timeout"):
            return {"canceled": "cancelled"}.get(ended, ended)
        if LOCK in self.actions:
            return "busy"
        if self.actions & CHECKS or not self.play:  # or an inventory that cannot even be read
            return "refused"
        if self.unreachable:
            return "unreachable"
        if self.result is not None and not self.result["ok"]:
            return "broken"
        return "kept" if ended == "successful" else "failed"

    def _fail(self, data: dict[str, t.Any]) -> None:
        said = data["res"].get("msg", "")
        text = "\n    ".join(map(str, said)) if isinstance(said, list) else str(said)
        self.failures.append(f"{data['host']}: {data['task']}:\n    {text}")
        self._show(f"  {data['host']}: {data['task']}: FAILED")

    def _show(self, line: str) -> None:
        print(f"{time.monotonic() - self.started:6.1f} s  {line}", flush=True)


class Parser(argparse.ArgumentParser):
    """Its own exit status for a wrong argument would be that of a broken promise."""

    def error(self, message: str) -> t.NoReturn:
        self.exit(STATUSES["refused"], f"{self.prog}: {message}\nstatus: refused\n")


def main() -> int:
    """Run it; returns the exit status."""
    arguments = parse()
    cancelled = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: cancelled.set())
    os.environ.update(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")  # where ansible-playbook is
    for name in set(os.environ) - set(KEPT):
        del os.environ[name]
    run = Run()
    thread, runner = ansible_runner.run_async(
        private_data_dir=str(arguments.private_data_dir),
        playbook=arguments.playbook,
        inventory=str(arguments.inventory) if arguments.inventory else None,
        limit=arguments.limit,
        cmdline=f"--extra-vars {shlex.quote(f'@{arguments.secrets}')}" if arguments.secrets else None,
        ident=uuid.uuid4().hex,
        timeout=arguments.timeout,
        rotate_artifacts=20,
        event_handler=run.handle,
        cancel_callback=cancelled.is_set,
        quiet=True,
    )
    thread.join()
    status = run.status(runner.status)
    for failure in run.failures:
        print(failure)
    if not run.play:
        print(runner.stdout.read().strip())
    if run.result is not None:
        schema = json.loads((HERE.parent / "docs" / "result.schema.json").read_text(encoding="utf-8"))
        jsonschema_rs.validator_for(schema).validate(run.result)
        carried = sum(path["ok"] is True for path in run.result["paths"])
        print(f"{carried} of {len(run.result['paths'])} pairs as promised; {len(run.result['problems'])} problems")
    print(f"status: {status}")
    return STATUSES[status]


def parse() -> argparse.Namespace:
    """The command line; paths become absolute, since the run has another directory."""
    parser = Parser(description="Run a playbook of Wonder Mesh by ansible-runner.")
    parser.add_argument("--inventory", type=Path, help="instead of what is in the private data dir")
    parser.add_argument("--private-data-dir", type=Path, default=HERE.parent / "runner")
    parser.add_argument("--playbook", default="site.yml", help="one of the private data dir's project")
    parser.add_argument("--limit")
    parser.add_argument("--secrets", type=Path, help="a file of variables, which may be vaulted; only its path is kept")
    parser.add_argument("--timeout", type=int, default=3600, help="seconds for the whole run")
    arguments = parser.parse_args()
    for name in ("inventory", "private_data_dir", "secrets"):
        path = getattr(arguments, name)
        if path and not path.exists():
            parser.error(f"--{name.replace('_', '-')}: there is no {path}")
        setattr(arguments, name, path and path.resolve())
    place = arguments.private_data_dir / "inventory"
    if not arguments.inventory and not has_inventory(place):
        parser.error(f"there is no inventory in {place}; put yours there as hosts.yml, or name it by --inventory")
    return arguments


def has_inventory(place: Path) -> bool:
    """Whether there is a file that may be one, which Ansible then judges."""
    names = {path.name for path in place.iterdir() if path.is_file()} if place.is_dir() else set()
    return any(not name.startswith(".") for name in names - NO_INVENTORY)


if __name__ == "__main__":
    sys.exit(main())
