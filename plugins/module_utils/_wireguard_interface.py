# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""One WireGuard interface of this host, from its key to its firewall: what differs, and how it is mended."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import time
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._daemon import Applied, Plan, plan
from ansible_collections.wonder.mesh.plugins.module_utils._difference import Difference, report
from ansible_collections.wonder.mesh.plugins.module_utils._hosts_block import HostsBlock
from ansible_collections.wonder.mesh.plugins.module_utils._removal import Removal
from ansible_collections.wonder.mesh.plugins.module_utils._transaction import Transaction, recover, remember
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_daemon import NAME, described, wanted_of
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_here import (
    is_userspace,
    read_text,
    refuse_bare_host,
)
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_key import SHOWN, KeyFile, WireGuardError
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_live import Live
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_place import Place
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_run import of_module
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_wanted import Wanted, load_secrets

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ansible_collections.wonder.mesh.plugins.module_utils._daemon import Daemon
    from ansible_collections.wonder.mesh.plugins.module_utils._systemd import RunCommand, Systemd

FURTHEST = 300  # seconds
NOTICE = 10.0  # seconds that a transaction has until the agent must be waiting
TABLE = ("addresses", "extra_ports", "forward", "hubs", "mtu", "peers", "port", "relayed", "routes")


class Interface:
    """What a host has of one interface."""

    def __init__(self, params: Mapping[str, t.Any], machine: str, run_command: RunCommand, systemd: Systemd) -> None:
        if not re.fullmatch(NAME, params["name"]):
            raise WireGuardError(f"{params['name']!r} cannot be the name of the interface; use one like wm0")
        if params["table"] is not None and (missing := [each for each in TABLE if each not in params["table"]]):
            raise WireGuardError(f"the table has no {', '.join(missing)}; use the filter wireguard_peers")
        self._params = params
        self._machine = machine
        self._run_command = run_command
        self._systemd = systemd
        self._run = of_module(run_command)
        self.place = Place(params["name"])
        self.key = KeyFile(self.place.key)
        self.userspace = is_userspace(params["implementation"], run_command)
        self.restarted = self.reloaded = False
        self._registry = read_text(self.place.registry)  # before anything is changed

    @property
    def needs_program(self) -> bool:
        return self.userspace and self._machine not in self._params["binaries"]

    def forget_traces(self) -> None:
        """Remove what a killed run had written beside files that are no part of a transaction."""
        self.key.forget()
        HostsBlock({}, self.place.name).forget()

    def key_differences(self, check_mode: bool) -> list[Difference]:
        """Whether the key is there, and root's alone. WireGuardError when it is damaged, or another host's.

        In check mode, a host that has none may have a table that is made with any key.
        """
        if self._params["regenerate"] and self._params["table"] is not None:
            raise WireGuardError(
                "regenerate makes a new key, and the table is for the old one. Give regenerate without table first, "
                "then the tables that are made with the new public keys, to all nodes"
            )
        state = self.key.look(self._params["regenerate"])
        if self._params["regenerate"]:
            return [Difference(self.key.path, *SHOWN[state])]
        public, said = self.key.public_key(), (self._params["table"] or {}).get("public_key") or ""
        if said and said != public and (public or not check_mode):
            raise WireGuardError(
                f"the registry knows this host by the public key {said}, and it has "
                f"{public or 'none'} in {self.key.path}. If another machine has that key, it is a copy of this one or "
                "this of it; else put the right file back, or let the run record the key that the host has."
            )
        return [Difference(self.key.path, *SHOWN[state])] if state in SHOWN else []

    def make_key(self) -> None:
        """A key, or a new one, or one that is no longer open to others."""
        if self._params["regenerate"] or not os.path.lexists(self.key.path):
            directories = described({**self._params, "state": "absent"}, self._machine, self.userspace).directories
            self.key.make(directories[:2])
        else:
            self.key.make_private()

    def converge(self, check_mode: bool, on_trial: OnTrial) -> dict[str, t.Any]:
        """Compare and act; what to answer."""
        refuse_bare_host(self.place.name, self.userspace, self._run_command)
        key = self.key_differences(check_mode)
        daemon = described(self._params, self._machine, self.userspace)
        applied = Applied.load(daemon.state_directory)
        unproven = recover(daemon, applied, self._systemd, not check_mode)
        states = self._systemd.states(list(daemon.units))
        todo = plan(daemon, applied, states[daemon.unit], False)
        runs = todo.unit.active == "active"
        if runs and not todo.restart and unproven:
            # Of a run that was killed nobody knows how far the files have come into the interface.
            todo = dataclasses.replace(todo, reload=True)
        drift = self._drift() if runs and not todo.restart and not key else []
        if drift:
            todo = dataclasses.replace(todo, reload=True, differences=[*todo.differences, *drift])
        watch = self._watch_differences(states[self.place.watch_unit].running or not runs or todo.restart)
        hosts = HostsBlock(self._params["names"], self.place.name)
        names = [each for each in [hosts.difference()] if each is not None]
        differences = [*key, *todo.differences, *watch, *names]
        self.restarted, self.reloaded = todo.restart, todo.reload and not todo.restart
        result = report(differences)
        missing = todo.missing(self._params["uploads"])
        if check_mode or missing:
            return result | ({} if check_mode else {"missing": missing})
        if not differences and not todo.restart and not todo.reload and not unproven:
            remember(daemon, applied)
            return result

        def act(prove: Callable[[], None]) -> dict[str, t.Any]:
            if key:
                self.make_key()
            if todo.differences or todo.restart or todo.reload or unproven:
                self._transact(daemon, todo, applied, prove)
            else:
                remember(daemon, applied)
            if watch:
                self._systemd.restart(self.place.watch_unit)
            if names:
                hosts.write()
            return result | self.told()

        own = not runs or todo.restart or self._own_differs(drift)
        return on_trial(self._params["trial"] if self._params["confirm"] and own else "", act)

    def remove(self, check_mode: bool) -> dict[str, t.Any]:
        """Take it away; what to answer. The key and the registry stay, unless they are to go too."""
        daemon = described(self._params, self._machine, self.userspace)
        applied = Applied.load(daemon.state_directory)
        recover(daemon, applied, self._systemd, not check_mode)
        data, forget = {self.place.key, self.place.registry}, self._params["remove_data"]
        files = {*applied.files, *data} if forget else {*applied.files} - data
        removal = Removal(
            daemon, dataclasses.replace(applied, files=sorted(files)), self._systemd.state(daemon.unit), forget
        )
        hosts = HostsBlock({}, self.place.name)
        names = [each for each in [hosts.difference()] if each is not None]
        result = report([*removal.differences, *names])
        if result["changed"] and not check_mode:
            removal.run(self._systemd, self._run_command)
            with contextlib.suppress(OSError):  # another interface may have its socket there
                os.rmdir(os.path.dirname(self.place.socket))
            if names:
                hosts.write()
        if not check_mode:
            removal.forget()
        return result

    def told(self) -> dict[str, t.Any]:
        """What anybody may know."""
        return {
            "public_key": self.key.public_key(),
            "interface": self.place.name,
            "machine": self._machine,
            "registry": self._registry,
            "userspace": self.userspace,
            "restarted": self.restarted,
            "reloaded": self.reloaded,
        }

    def _transact(self, daemon: Daemon, todo: Plan, applied: Applied, prove: Callable[[], None]) -> None:
        def proven() -> None:
            wrong = Live(self.place, self._run).differences(wanted_of(self._params), *load_secrets(self.place))
            if any(wrong):
                raise WireGuardError("The interface is not what it should be now:\n{}expected:\n{}".format(*wrong))
            prove()

        self._wait()
        Transaction(daemon, todo, applied, self._params["uploads"], self._systemd, self._run_command, proven).run()

    def _wait(self) -> None:
        """Until shortly before the interface is to change; the agent waits for the instant itself."""
        left = self._params["at"] - time.time()
        if left > FURTHEST:
            raise WireGuardError(f"`at` is {left:.0f} s ahead, and may be {FURTHEST} at most. Are the clocks right?")
        time.sleep(max(0.0, left - NOTICE))
        if os.path.isdir(self.place.runtime):
            self.place.note("at", {"at": self._params["at"]})

    def _drift(self) -> list[Difference]:
        """How what runs differs from what lies on disk; what is to lie there then shows in the files."""
        try:
            old = Wanted.load(self.place)
            before, after = Live(self.place, self._run).differences(old, *load_secrets(self.place))
        except (WireGuardError, KeyError, ValueError) as exc:
            before, after = f"({exc})\n", "(the interface)\n"
        return [Difference(f"{self.place.name} as it runs", before, after)] if (before, after) != ("", "") else []

    def _watch_differences(self, runs: bool) -> list[Difference]:
        return [] if runs else [Difference(self.place.watch_unit, "running: no\n", "running: yes\n")]

    def _own_differs(self, drift: list[Difference]) -> bool:
        """Whether the host itself changes, and not only who its peers are."""
        try:
            old = Wanted.load(self.place)
        except WireGuardError:
            return True
        lines = [line for each in drift for line in (each.before + each.after).splitlines()]
        return old.own() != wanted_of(self._params).own() or any(not line.startswith("peer ") for line in lines)


class OnTrial(t.Protocol):
    """Makes a change, on trial if that is named."""

    def __call__(self, trial: str, change: Callable[[Callable[[], None]], dict[str, t.Any]]) -> dict[str, t.Any]: ...
