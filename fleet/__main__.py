# SPDX-License-Identifier: MIT
"""`python -m fleet up | down | inventory | status | ssh NAME [COMMAND...]`, each with `--topology`."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import typing as t

from fleet import FleetError, provider, topology
from fleet.console import Console
from fleet.state import locked

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

    from fleet.state import State

INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    """The command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--topology", default="demo", help="a name in fleet/topologies, or the path of a file")
    common.add_argument("--provider", default="nspawn", help="what makes the hosts")
    top = argparse.ArgumentParser(prog="python -m fleet", description="The test fleet: hosts behind real NATs.")
    verbs = top.add_subparsers(dest="verb", required=True)
    verbs.add_parser("up", parents=[common], help="make the fleet, or repair it")
    verbs.add_parser("down", parents=[common], help="remove it; nothing stays")
    verbs.add_parser("inventory", parents=[common], help="print the path of its inventory")
    verbs.add_parser("status", parents=[common], help="print which hosts run")
    ssh = verbs.add_parser("ssh", parents=[common], help="a shell on a host, or one command")
    ssh.add_argument("name", help="the host")
    ssh.add_argument("command", nargs=argparse.REMAINDER, help="what to run there")
    return top


def guarded(main: Callable[[list[str]], int], argv: list[str]) -> int:
    """Call `main` and turn what ends a run early into a line and an exit status. SIGTERM is as good as Ctrl-C."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return main(argv)
    except FleetError as error:
        print(f"fleet: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f" at {error.filename}" if error.filename else ""
        print(f"fleet: the disk is full{where}; make room, and start the same command again", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fleet: interrupted; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED


def main(argv: list[str]) -> int:
    """One verb; returns the exit status."""
    arguments = parser().parse_args(argv)
    if arguments.provider == "nspawn" and os.geteuid() != 0:
        raise FleetError("the fleet needs root: it makes network namespaces, mounts and containers (run it with sudo)")
    chosen = provider.load(arguments.provider)
    state = provider.state(arguments.provider, arguments.topology)
    if arguments.verb == "down":  # also of a fleet whose topology is gone or broken
        with locked(state):
            chosen.down(state, Console())
        return 0
    world = topology.load(arguments.topology, chosen.NAT_KINDS)
    if arguments.verb == "up":
        with locked(state):
            if not chosen.up(world, state, Console()):
                Console().say(f"the fleet {world.name} is up already")
        print(inventory_of(state))
        return 0
    if arguments.verb == "inventory":
        print(inventory_of(state))
        return 0
    if arguments.verb == "status":
        hosts = chosen.running(world, state)
        for name, runs in hosts.items():
            print(f"{name:12} {'running' if runs else 'stopped'}")
        return 0 if all(hosts.values()) else 1
    return _ssh(world, state, arguments.name, arguments.command)


def inventory_of(state: State) -> Path:
    """The inventory of a fleet that is there."""
    if state.completed() is None:
        raise FleetError("this fleet is not up; `up` makes it")
    return state.inventory


def _ssh(world: topology.Topology, state: State, name: str, command: list[str]) -> t.NoReturn:
    inventory_of(state)
    names = [host.name for host in world.hosts]
    if name not in names:
        raise FleetError(f"there is no host {name!r}; known are {', '.join(names)}")
    os.execvp("ssh", ["ssh", "-F", str(state.ssh_config), name, *command])  # noqa: S606


def _interrupt(_signal: int, _frame: FrameType | None) -> t.NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
