#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Provisions one mesh by several workers of ansible-runner, and proves it as a whole.

    examples/distributed.py DIR --worker 'flat=ssh box-1 ansible-runner worker' --worker 'shed=ssh box-2 …'

DIR is a private data dir that can be sent (docs/scale.md). Before each `=` stands an Ansible pattern, for the nodes
that the worker behind it provisions; the first one also has the coordinator, gateways, relays and strangers. Exit
statuses are those of provision.py.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import dataclasses
import functools
import json
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
import typing as t
from pathlib import Path

import ansible_runner
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.manager import VariableManager

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "collections"))

from provision import STATUSES, Parser, Run

from ansible_collections.wonder.mesh.plugins.plugin_utils._table import render
from ansible_collections.wonder.mesh.plugins.plugin_utils._verdict import judge

PUBLIC = ("coordinator", "gateways", "relays", "strangers")
UNPROVEN = {"skip_tags": "verify"}
TOLD = 5  # lines of what a worker said, in a failure


class Phase(t.NamedTuple):
    """What all workers do at once, with which of their hosts."""

    title: str
    playbook: str
    options: dict[str, str]
    which: str


# Nodes need the coordinator; coordinator and gateways are then told of them; only then is there something to prove.
PHASES = (
    Phase("the public hosts", "site.yml", UNPROVEN, "public"),
    Phase("the nodes", "site.yml", UNPROVEN, "nodes"),
    Phase("the public hosts, which learn of the nodes", "site.yml", UNPROVEN, "public"),
    Phase("the proof", "verify.yml", {}, "all"),
)


class Mistake(Exception):
    """What is wrong with the arguments."""


@dataclasses.dataclass
class Worker:
    """Who provisions these hosts, and the command at whose end `ansible-runner worker` is."""

    name: str
    command: list[str]
    nodes: list[str]
    public: list[str] = dataclasses.field(default_factory=list)

    def hosts(self, which: str) -> list[str]:
        return {"public": self.public, "nodes": self.nodes, "all": [*self.public, *self.nodes]}[which]


class Part(Run):
    """The events of one worker in one phase, and what its hosts measured."""

    def __init__(self, worker: Worker, started: float) -> None:
        super().__init__(started)
        self.worker = worker
        self.model: dict[str, t.Any] | None = None
        self.measured: dict[str, t.Any] = {}
        self.controller: dict[str, t.Any] | None = None

    def handle(self, event: dict[str, t.Any]) -> bool:
        data = event.get("event_data") or {}
        if event["event"] == "runner_on_ok":
            action, found = data.get("resolved_action"), data["res"]
            if action == "wonder.mesh.mesh_model":
                self.model = found["model"]
            elif action == "wonder.mesh.mesh_probe" and "_ansible_delegated_vars" in found:
                self.controller = found
            elif action == "wonder.mesh.mesh_probe":
                self.measured[data["host"]] = found
        return super().handle(event)

    def _show(self, line: str) -> None:
        print(f"{time.monotonic() - self.started:6.1f} s  [{self.worker.name}] {line}", flush=True)


def main() -> int:
    """Run it; returns the exit status."""
    arguments = parse()
    try:
        workers = split(arguments.directory / "inventory", arguments.worker)
    except Mistake as mistake:
        print(f"distributed: {mistake}\nstatus: refused", file=sys.stderr)
        return STATUSES["refused"]
    control = Control(arguments.directory)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: control.cancel())
    parts = []
    for phase in PHASES:
        print(f"{time.monotonic() - control.started:6.1f} s  {phase.title}", flush=True)
        busy = [worker for worker in workers if worker.hosts(phase.which)]
        with concurrent.futures.ThreadPoolExecutor(len(busy)) as pool:
            done = list(pool.map(functools.partial(control.play, phase), busy))
        failed = [(part, status) for part, status in done if status not in ("kept", "broken")]
        if failed or control.cancelled:
            return _fail(failed, control.cancelled)
        parts = [part for part, _ in done]
    return _end(arguments, parts)


def split(inventory: Path, wanted: list[str]) -> list[Worker]:
    """Who provisions what. Each node must be somebody's, and nobody's twice."""
    found = InventoryManager(loader=DataLoader(), sources=[str(inventory)])
    names = {
        group: [str(host) for host in found.get_hosts(group)] for group in (*PUBLIC, "nodes") if group in found.groups
    }
    public = sorted({name for group in PUBLIC for name in names.get(group, [])})
    left = {name for name in names.get("nodes", []) if name not in public}
    workers = []
    for each in wanted:
        pattern, mark, command = each.partition("=")
        if not mark or not command.strip():
            raise Mistake(f"--worker {each!r}: found no command; write PATTERN=COMMAND")
        nodes = sorted(left & {str(host) for host in found.get_hosts(pattern)})
        if not nodes:
            raise Mistake(f"--worker {each!r}: {pattern!r} is no node that is not another worker's already")
        left -= set(nodes)
        workers.append(Worker(pattern, shlex.split(command), nodes))
    if left:
        raise Mistake(f"no worker has {', '.join(sorted(left))}; each node needs one")
    workers[0].public = public
    return workers


class Control:
    """The runs that are under way."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.started, self.cancelled = directory, time.monotonic(), False
        self._running: set[subprocess.Popen[bytes]] = set()

    def play(self, phase: Phase, worker: Worker) -> tuple[Part, str]:
        """Send a phase to a worker; its events as they come, and how it ended, as a word of STATUSES."""
        part = Part(worker, self.started)
        sent = {"playbook": phase.playbook, "limit": ",".join(worker.hosts(phase.which)), **phase.options}
        with tempfile.TemporaryFile() as said, tempfile.TemporaryDirectory() as back:
            try:
                process = subprocess.Popen(worker.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said)
            except OSError as error:
                part.failures.append(f"{worker.name}: {shlex.join(worker.command)}: {error.strerror}")
                return part, "unreachable"
            self._running.add(process)
            sender = threading.Thread(target=self._send, args=(process, sent))
            sender.start()
            taken = {"private_data_dir": back, "event_handler": part.handle, "quiet": True}
            runner = ansible_runner.run(streamer="process", _input=process.stdout, **taken)
            sender.join()
            status = process.wait()
            self._running.discard(process)
            if runner.status != "error":
                return part, part.status(runner.status)
            said.seek(0)
            last = said.read().decode(errors="replace").splitlines()[-TOLD:] or [f"it ended with exit status {status}"]
            part.failures.append("\n    ".join([f"{worker.name}: {shlex.join(worker.command)}:", *last]))
            return part, "unreachable"

    def cancel(self) -> None:
        """End all of them: a worker ends with its connection."""
        self.cancelled = True
        for process in list(self._running):
            process.terminate()

    def _send(self, process: subprocess.Popen[bytes], sent: dict[str, str]) -> None:
        # A worker that has ended says itself why.
        with contextlib.suppress(BrokenPipeError), t.cast("t.IO[bytes]", process.stdin) as sink:
            ansible_runner.run(streamer="transmit", _output=sink, private_data_dir=str(self.directory), **sent)


def _fail(failed: list[tuple[Part, str]], cancelled: bool) -> int:
    for part, _ in failed:
        print("\n".join(part.failures))
    status = "cancelled" if cancelled else max((status for _, status in failed), key=lambda each: STATUSES[each])
    print(f"status: {status}")
    return STATUSES[status]


def _end(arguments: argparse.Namespace, parts: list[Part]) -> int:
    """Judge what all have measured as if one had; that is the run's result."""
    model = next(part.model for part in parts if part.model)
    measured = {name: None for part in parts for name in part.worker.hosts("all")}
    for part in parts:
        measured |= part.measured
    controller = next((part.controller for part in parts if part.controller), None)
    result = judge(model, measured, controller, strict(arguments.directory / "inventory"))
    arguments.result.touch(mode=0o600)
    arguments.result.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print("\n".join(render(result)))
    status = "kept" if result["ok"] else "broken"
    print(f"status: {status}")
    return STATUSES[status]


def strict(inventory: Path) -> bool:
    """Whether this inventory calls a path other than predicted a broken promise."""
    found = InventoryManager(loader=(loader := DataLoader()), sources=[str(inventory)])
    host = found.get_hosts("nodes")[0]
    return VariableManager(loader, found).get_vars(host=host).get("mesh_verify_paths") == "strict"


def parse() -> argparse.Namespace:
    """The command line."""
    parser = Parser(description="Provision one mesh by several workers of ansible-runner.")
    parser.add_argument("directory", type=Path, help="the private data dir that is sent, with inventory and collection")
    parser.add_argument("--worker", action="append", required=True, metavar="PATTERN=COMMAND")
    parser.add_argument("--result", type=Path, default=Path("result.json"), help="where the proof goes")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
