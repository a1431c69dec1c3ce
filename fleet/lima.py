# SPDX-License-Identifier: MIT
"""Provider lima (macOS, Linux; no root): each host is a virtual machine. All share one network, and so are one home.

But a stranger, on which nothing is ever installed, is another name of the first node without TUN device, if there is
one: the network of such a machine itself is no part of the mesh.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import re
import shutil
import time
import typing as t
from ipaddress import IPv4Address, IPv4Network

from fleet import FleetError, lima_files, nat
from fleet import inventory as inventories
from fleet.authority import Authority, write_private
from fleet.limactl import START, Limactl
from fleet.shell import run
from fleet.state import CHECKOUT, digest

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from fleet.console import Console
    from fleet.state import State
    from fleet.topology import Host, Topology

NAT_KINDS = nat.KINDS  # those that it cannot make it refuses by itself, and names the provider that can
TEMPLATE = CHECKOUT / "lima" / "host.yaml"
NETWORK = IPv4Network("192.168.104.0/24")  # Lima's user-v2
FIRST = 30.0  # seconds in which the first machine has made what all share: a key, and the network's daemon
GIB = 1 << 30
ROOM = GIB  # of the disk for each new machine: its image, what it writes as it boots, and the programs
NO_CONNECTION = 255  # ssh's exit status, of which a machine that still boots has many
# Lima's own mark of a boot's end, provisioning included; a machine that a killed run has left may be still on its way.
LOOK = "until test -e /run/lima-boot-done; do sleep 1; done; ip -4 -oneline address"


def up(topology: Topology, state: State, console: Console) -> bool:
    """Make the fleet, or what is missing of it; False if it was up and whole already."""
    check_topology(topology)
    names = sorted(set(machines(topology).values()))
    lima = _lima(state)
    lima.check(names)
    record = state.completed()
    if record and record["digest"] != digest(topology):
        raise FleetError(f"the topology {topology.name} has changed since this fleet was made from it; run down first")
    found = {name: each["status"] for name, each in lima.list().items()}
    missing = [name for name in names if found.get(name) != "Running"]
    if record and not missing:
        return False
    # One that stands still in a fleet that never was whole is what a killed run has left, and may lack anything.
    kept = {name for name in missing if record and found.get(name) == "Stopped"}
    _need_room(state.path, [name for name in missing if name not in kept])
    lima.home.mkdir(exist_ok=True)
    with console.step(f"Fleet {topology.name}: {len(names)} virtual machines") as progress:
        _start(lima, missing, kept, progress)
        progress("files")
        _write_files(topology, state, lima)
        state.complete(topology, TEMPLATE)
    return True


def down(state: State, console: Console) -> None:
    """Remove the fleet, whole or half-made, and the daemon of its network."""
    lima = _lima(state)
    with console.step(f"Removing the fleet {state.prefix}"):
        for name in lima.list():
            lima.delete(name)
        lima.end_networks()
        state.remove()


def running(topology: Topology, state: State) -> dict[str, bool]:
    """Whether each host runs, by name."""
    found = _lima(state).list()
    return {host: found.get(machine, {}).get("status") == "Running" for host, machine in machines(topology).items()}


def machines(topology: Topology) -> dict[str, str]:
    """The name of each host's virtual machine."""
    shared = next((host.name for host in topology.hosts if not host.tun), None)
    return {host.name: shared if shared and _is_stranger(host) else host.name for host in topology.hosts}


def _is_stranger(host: Host) -> bool:
    return host.groups == ("strangers",)


def _lima(state: State) -> Limactl:
    return Limactl(state.path / "lima")


def check_topology(topology: Topology) -> None:
    """Refuse what is not one home, or has another login than the template."""
    others = [home.nat for home in topology.homes if home.nat != "easy"]
    what = f"a router of the kind {others[0]}" if others else ""
    what = what or (f"{len(topology.homes)} homes" if len(topology.homes) > 1 else "")
    what = what or ("a router with losses" if any(home.loss for home in topology.homes) else "")
    if what:
        raise FleetError(
            f"the topology {topology.name} has {what}, and the provider lima makes one network of all its hosts; use"
            " the provider nspawn, which needs Linux (on macOS: inside a virtual machine)"
        )
    if topology.user != "ops":
        raise FleetError(
            f"the topology {topology.name} logs in as {topology.user}, and the provider lima as ops; add `user: ops`"
        )


def _need_room(place: Path, new: list[str]) -> None:
    free, needed = shutil.disk_usage(place).free, ROOM * len(new)
    if free < needed:
        raise FleetError(
            f"{free / GIB:.1f} GiB are free where {place} is, and {len(new)} virtual machines need {needed / GIB:.0f};"
            " make room on that disk, and start the same command again"
        )


def _start(lima: Limactl, names: list[str], kept: Collection[str], progress: Callable[[str], None]) -> None:
    """Start all, side by side, anew but those to be kept; an error names each that did not come up."""
    found, begun = lima.list(), []

    def one(name: str) -> str:
        try:
            if name in kept:
                lima.start(name, None)
            else:
                _make(lima, name, there=name in found)
        except FleetError as error:
            return str(error)
        begun.append(name)
        progress(f"{len(begun)} of {len(names)} have started: {', '.join(sorted(begun))}")
        return ""

    progress(f"{', '.join(names)} boot" if names else "")
    with concurrent.futures.ThreadPoolExecutor(max(1, len(names))) as pool:
        jobs = []
        try:
            for name in names:
                jobs.append(pool.submit(one, name))
                _wait_for_key(lima, jobs[0])
            problems = [job.result() for job in jobs if job.result()]
        except BaseException:
            lima.cancel()  # or the pool would wait for them
            raise
    if problems:
        raise FleetError("\n".join(problems))


def _make(lima: Limactl, name: str, *, there: bool) -> None:
    """Make a machine and start it; one that does not come up is removed again."""
    if there:  # broken, or of a run that was killed while it made it
        lima.delete(name)
    try:
        lima.start(name, TEMPLATE)
    except FleetError as error:
        with contextlib.suppress(FleetError):
            lima.delete(name)
        raise FleetError(f"{error}\n  It is removed again. With that mended, the same command makes it anew.") from None


def _wait_for_key(lima: Limactl, first: concurrent.futures.Future[str]) -> None:
    until = time.monotonic() + FIRST
    while not (lima.home / "_config" / "user").exists() and not first.done() and time.monotonic() < until:
        time.sleep(0.1)


def _write_files(topology: Topology, state: State, lima: Limactl) -> None:
    """What the hosts get, and what the controller needs to reach them."""
    state.control.mkdir(mode=0o700, exist_ok=True)
    state.certificates.mkdir(exist_ok=True)
    state.inventory.parent.mkdir(exist_ok=True)
    state.known_hosts.unlink(missing_ok=True)  # a machine that boots may have new keys
    write_private(state.ssh_config, ssh_config(topology, state, lima))
    with concurrent.futures.ThreadPoolExecutor(len(topology.hosts)) as pool:
        addresses = list(pool.map(lambda host: _address(state, host), topology.hosts))
    pairs = zip(topology.hosts, addresses, strict=True)
    hosts = tuple(dataclasses.replace(host, address=address) for host, address in pairs)
    world = dataclasses.replace(topology, hosts=hosts)
    authority = Authority(f"fleet {state.prefix}")
    write_private(state.authority, authority.certificate)
    for host in world.hosts:
        names = inventories.certificate_names(world, host)
        if names:
            certificate, key = authority.issue(names)
            write_private(inventories.certificate_path(state, host), certificate)
            write_private(inventories.key_path(state, host), key)
    owners = [host for host in world.hosts if machines(world)[host.name] == host.name]
    with concurrent.futures.ThreadPoolExecutor(len(owners)) as pool:
        list(pool.map(lambda host: lima_files.send(world, state, host, authority.certificate), owners))
    data = inventories.inventory(world, state)
    data["all"]["vars"]["ansible_ssh_private_key_file"] = str(_key(lima))
    write_private(state.inventory, inventories.dump(data))


def _address(state: State, host: Host) -> IPv4Address:
    """A machine's address, once it has booted."""
    until = time.monotonic() + START
    while True:
        done = run("ssh", "-F", str(state.ssh_config), host.name, LOOK, timeout=START, check=False)
        if done.returncode != NO_CONNECTION or time.monotonic() > until:
            break
        time.sleep(1)
    if done.returncode:
        raise FleetError(
            f"the host {host.name} runs and does not answer: {done.stderr.strip()}; `down` removes the fleet, and `up`"
            " makes it anew"
        )
    for each in re.findall(r"inet ([\d.]+)/", done.stdout):
        if IPv4Address(each) in NETWORK:
            return IPv4Address(each)
    raise FleetError(f"the host {host.name} has no address in {NETWORK}, the network of Lima's that all hosts share")


def ssh_config(topology: Topology, state: State, lima: Limactl) -> str:
    """The configuration for `ssh -F`: all hosts are ports of this machine, which change at every start."""
    found = lima.list()
    common = {
        "HostName": "127.0.0.1",
        "User": topology.user,
        "IdentityFile": f'"{_key(lima)}"',
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "UserKnownHostsFile": f'"{state.known_hosts}"',
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "accept-new",
        "ControlMaster": "auto",
        "ControlPersist": "300",
        "ControlPath": f'"{state.control / "%C"}"',
        "ConnectTimeout": "15",
        "ServerAliveInterval": "15",
        "LogLevel": "ERROR",
    }
    blocks = [
        f"Host {host}\n  Port {found[machine]['sshLocalPort']}\n  HostKeyAlias {machine}\n"
        for host, machine in machines(topology).items()
    ]
    return "".join(blocks) + "Host *\n" + "".join(f"  {key} {value}\n" for key, value in common.items())


def _key(lima: Limactl) -> str:
    return str(lima.home / "_config" / "user")
