# SPDX-License-Identifier: MIT
"""Provider nspawn (Linux, root): each host is a systemd container on an overlay of the base tree, in its own namespace.

Hosts outlive the run that made them: a supervisor each (`nspawn-host`) keeps them through reboots.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import typing as t
from pathlib import Path

from fleet import FleetError, cgroups, hostfiles, leftovers, machine, nat, network, ready, tree
from fleet import inventory as inventories
from fleet.authority import Authority, write_private
from fleet.shell import run
from fleet.state import digest

if t.TYPE_CHECKING:
    from fleet.console import Console
    from fleet.state import State
    from fleet.topology import Host, Topology

NAT_KINDS = nat.KINDS
SUPERVISOR = Path(__file__).resolve().with_name("nspawn-host")


def up(topology: Topology, state: State, console: Console) -> bool:
    """Make the fleet, or repair it. One that was interrupted before it was whole, or lost its network, is made anew."""
    if not Path("/dev/net/tun").exists():
        raise FleetError("there is no /dev/net/tun, which the nodes need; load the kernel module tun (modprobe tun)")
    record = state.completed()
    if record and record["digest"] != digest(topology):
        raise FleetError(f"the topology {topology.name} has changed since this fleet was made from it; run down first")
    wanted = network.Plan(state.prefix, topology).namespaces()
    if record and Path(record["tree"]).is_dir() and set(wanted) == set(leftovers.namespaces(state.prefix)):
        return _repair(topology, state, console, Path(record["tree"]))
    with console.step("Base tree of the fleet's hosts") as progress:
        base = tree.ensure(progress)
    title = f"Fleet {topology.name}: {len(topology.hosts)} hosts, {len(topology.homes)} routers"
    with console.step(title) as progress:
        progress("network")
        leftovers.clean(state.prefix)
        state.clear()
        _make_network(topology, state)
        progress("files")
        _write_files(topology, state, base)
        for host in topology.hosts:
            _start(state, host)
        ready.wait(state, list(topology.hosts), progress)
        state.complete(topology, base)
    return True


def down(state: State, console: Console) -> None:
    """Remove the fleet, whole or half-made."""
    with console.step(f"Removing the fleet {state.prefix}"):
        _close_connections(state)
        leftovers.clean(state.prefix)
        state.remove()


def running(topology: Topology, state: State) -> dict[str, bool]:
    """Whether each host runs, by name."""
    return {host.name: cgroups.alive(_machine(state, host)) for host in topology.hosts}


def _repair(topology: Topology, state: State, console: Console, base: Path) -> bool:
    """Start again the hosts that have stopped in a fleet that was whole; what they wrote stays."""
    alive = running(topology, state)
    stopped = [host for host in topology.hosts if not alive[host.name]]
    names = ", ".join(host.name for host in stopped)
    with console.step(f"Starting what has stopped: {names}" if stopped else "Hosts answer") as progress:
        leftovers.stop(state.prefix, [_machine(state, host) for host in stopped])
        for host in stopped:
            _mount(state, base, host)
            _start(state, host)
        ready.wait(state, list(topology.hosts), progress)
    return bool(stopped)


def _make_network(topology: Topology, state: State) -> None:
    with machine.locked():
        machine.prepare()
        network.make(state.prefix, topology)


def _write_files(topology: Topology, state: State, base: Path) -> None:
    """Write keys, certificates, inventory and SSH configuration, and what differs on each host."""
    for directory in (state.certificates, state.control, state.hosts, state.inventory.parent):
        directory.mkdir(mode=0o700)
    authority, login = Authority(f"Wonder Mesh fleet {state.prefix}"), hostfiles.ssh_key()
    write_private(state.ssh_key, login.private)
    write_private(state.authority, authority.certificate)
    known_hosts = []
    for host in topology.hosts:
        names = inventories.certificate_names(topology, host)
        if names:
            certificate, key = authority.issue(names)
            write_private(inventories.certificate_path(state, host), certificate)
            write_private(inventories.key_path(state, host), key)
        _mount(state, base, host)
        host_key = hostfiles.ssh_key()
        known_hosts.append(f"{host.name} {host_key.public}\n")
        root = state.host(host.name) / "root"
        hostfiles.write(root, state.prefix, topology, host, login.public, host_key, authority.certificate)
    write_private(state.known_hosts, "".join(known_hosts))
    write_private(state.ssh_config, inventories.ssh_config(topology, state))
    write_private(state.inventory, inventories.dump(inventories.inventory(topology, state)))


def _mount(state: State, base: Path, host: Host) -> None:
    """Mount a host's overlay; the source's name is what `leftovers` finds it by.

    Volatile: it never waits for the machine's disk, also not at the end. A fleet does not outlive its machine anyway.
    """
    place = state.host(host.name)
    shutil.rmtree(place / "work", ignore_errors=True)  # says that the last mount was volatile
    for name in ("upper", "work", "root"):
        (place / name).mkdir(parents=True, exist_ok=True)
    (place / "upper").chmod(0o755)  # the mode of the host's /
    layers = f"lowerdir={base},upperdir={place / 'upper'},workdir={place / 'work'},volatile"
    run("mount", "-t", "overlay", _machine(state, host), "-o", layers, str(place / "root"))


def _start(state: State, host: Host) -> None:
    """Start a host's supervisor in a session of its own, so that it outlives us."""
    place, name = state.host(host.name), _machine(state, host)
    arguments = [name, host.name, str(place / "root"), "yes" if host.tun else "no"]
    arguments += [str(group) for group in cgroups.of(name)]
    with (place / "console.log").open("ab") as log:
        subprocess.Popen(
            [str(SUPERVISOR), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )


def _close_connections(state: State) -> None:
    """Close the SSH connections that Ansible and people keep open."""
    for socket in state.control.glob("*") if state.control.is_dir() else []:
        run("ssh", "-F", os.devnull, "-o", f"ControlPath={socket}", "-O", "exit", "host", timeout=10, check=False)


def _machine(state: State, host: Host) -> str:
    return network.host_namespace(state.prefix, host.name)
