# SPDX-License-Identifier: MIT
"""Drifts of what the module daemon looks after: files, programs, directories, users, units, and what it remembers."""

from __future__ import annotations

import dataclasses
import functools
import json
import shlex
import typing as t

from tests.fault.drifts import CADDY, HEADSCALE, PROBE, TAILSCALED, Drift, Slot

if t.TYPE_CHECKING:
    import random

UNITS, BIN, LIB, STATE = "/etc/systemd/system", "/usr/local/bin", "/usr/local/lib", "/var/lib/wonder-mesh"
STOPS, CONTENTS, ATTRIBUTES = 0, 1, 2  # turns: a unit's state while its file is whole, attributes of what is there


@dataclasses.dataclass(frozen=True)
class Service:
    """What a role puts on a host: the first unit is the one that runs. Data are not ours to bring back."""

    task: str
    name: str
    user: str
    units: tuple[str, ...]
    files: tuple[str, ...]
    binaries: tuple[str, ...]
    directories: tuple[str, ...]
    data: tuple[str, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        return (*self.files, *(f"{UNITS}/{unit}" for unit in self.units))

    @property
    def unit(self) -> frozenset[str]:
        return frozenset({self.units[0]})

    def below(self, directory: str) -> frozenset[str]:
        ours = (*self.directories, *self.files)
        return frozenset(path for path in ours if path == directory or path.startswith(f"{directory}/"))


SERVICES = {
    HEADSCALE: Service(
        HEADSCALE,
        "headscale",
        "headscale",
        ("headscale.service",),
        ("/etc/headscale/config.yaml",),
        (f"{BIN}/headscale",),
        ("/etc/headscale",),
        ("/var/lib/headscale",),
    ),
    CADDY: Service(
        CADDY,
        "caddy",
        "caddy",
        ("caddy.service",),
        ("/etc/caddy/caddy.json", "/etc/caddy/certificates/1.crt", "/etc/caddy/certificates/1.key"),
        (f"{BIN}/caddy",),
        ("/etc/caddy", "/etc/caddy/certificates"),
        ("/var/lib/caddy",),
    ),
    TAILSCALED: Service(
        TAILSCALED,
        "tailscaled",
        "",
        ("tailscaled.service",),
        (f"{LIB}/wonder-mesh-tailscaled/tailscaled_traces.py",),
        (f"{BIN}/tailscale", f"{BIN}/tailscaled"),
        (f"{LIB}/wonder-mesh-tailscaled",),
        ("/var/lib/tailscale",),
    ),
    PROBE: Service(
        PROBE,
        "mesh-probe",
        "mesh-probe",
        ("mesh-probe.socket", "mesh-probe.service"),
        (f"{LIB}/wonder-mesh/mesh_probe_responder.py",),
        (),
        (f"{LIB}/wonder-mesh",),
        (),
    ),
}

# Edits of a text file that "$f" names.
EDITS = {
    "a line more": 'printf "\\n# by hand\\n" >>"$f"',
    "a line less": 'sed -i "1d" "$f"',
    "emptied": ': >"$f"',
    "torn": 'truncate --size=-7 "$f"',
    "no text": 'printf "\\377\\376" >>"$f"',
    "a long text": 'yes "# by hand" | head -c 300000 >>"$f"',
    "another line's end": 'sed -i "s/$/\\r/" "$f"',
}
# A running program cannot be written to, so damage comes by renaming, as an update would.
DAMAGE = {
    "a flipped byte": 'printf x | dd of="$f.new" bs=1 seek=4096 conv=notrunc status=none',
    "torn": 'truncate --size=1M "$f.new"',
    "replaced": 'printf "#!/bin/sh\\nexit 1\\n" >"$f.new"',
}
STOPPED = ("stop", "disable", "disable --now", "kill --signal=KILL --kill-whom=all {unit}; systemctl stop")
OWNERS = ("nobody", "nobody:nogroup", ":nogroup", "54321", ":54321")
FILE_MODES = ("0600", "0666", "0777", "0444", "4755")
DIRECTORY_MODES = ("0711", "0777", "1777", "0710", "2755")


def slots(host: str, service: Service) -> list[Slot]:
    """All that may drift of a service on a host."""
    directories = (*service.directories, *service.data)
    make: list[tuple[str, t.Callable[..., Drift]]] = []
    make += [(path, _edit) for path in service.texts]
    make += [(path, _damage) for path in service.binaries]
    make += [(path, _attributes) for path in (*service.texts, *service.binaries)]
    make += [(path, _directory) for path in directories]
    make += [(service.units[0], _unit_state), (f"{STATE}/{service.name}/applied.json", _memory)]
    make += [(f"{STATE}/{service.name}/journal.json", _journal), (f"/run/wonder-mesh.{service.name}", _view)]
    make += [(f"what {service.name} staged", _staged)]
    make += [(f"user {service.user}", _user)] if service.user else []
    found = [Slot(host, path, functools.partial(each, host, service, path)) for path, each in make]
    gone = [(path, _delete) for path in (*service.texts, *service.binaries)]
    gone += [(path, _delete_directory) for path in service.directories]
    return found + [Slot(host, path, functools.partial(each, host, service, path), True) for path, each in gone]


def _edit(host: str, service: Service, path: str, rng: random.Random) -> Drift:
    what, script = rng.choice(sorted(EDITS.items()))
    reread = rng.random() < 0.5 and path.startswith(UNITS)
    script = f"f={path}; {script}" + ("; systemctl daemon-reload" if reread else "")
    name = f"{path}: {what}" + (", read by systemd" if reread else "")
    return Drift(name, host, service.task, script, frozenset({path}), service.unit, CONTENTS)


def _damage(host: str, service: Service, path: str, rng: random.Random) -> Drift:
    what, script = rng.choice(sorted(DAMAGE.items()))
    script = f'f={path}; cp --preserve=mode "$f" "$f.new"; {script}; mv "$f.new" "$f"'
    return Drift(f"{path}: {what}", host, service.task, script, frozenset({path}), service.unit, CONTENTS)


def _attributes(host: str, service: Service, path: str, rng: random.Random) -> Drift:
    what, must = _chmod_or_chown(rng, FILE_MODES), frozenset({f"{path} (attributes)"})
    return Drift(f"{path}: {what}", host, service.task, f"{what} {path}", must, turn=ATTRIBUTES)


def _directory(host: str, service: Service, path: str, rng: random.Random) -> Drift:
    what = _chmod_or_chown(rng, DIRECTORY_MODES)
    return Drift(f"{path}: {what}", host, service.task, f"{what} {path}", frozenset({path}), turn=ATTRIBUTES)


def _delete(host: str, service: Service, path: str, _rng: random.Random) -> Drift:
    name, must = f"{path}: deleted", frozenset({path})
    return Drift(name, host, service.task, f"rm {path}", must, service.unit, CONTENTS)


def _delete_directory(host: str, service: Service, path: str, _rng: random.Random) -> Drift:
    name, must = f"{path}: the directory deleted", service.below(path)
    return Drift(name, host, service.task, f"rm --recursive {path}", must, service.unit, CONTENTS)


def _user(host: str, service: Service, _path: str, _rng: random.Random) -> Drift:
    """Then everything that belonged to it has an owner without a name."""
    name, must = f"user {service.user}", frozenset({f"user {service.user}"})
    files = {f"{path} (attributes)" for path in (*service.texts, *service.binaries)}
    may = service.unit | files | {*service.directories, *service.data}
    script = f"userdel --force {service.user} 2>/dev/null"
    return Drift(f"{name}: deleted", host, service.task, script, must, may, ATTRIBUTES)


def _unit_state(host: str, service: Service, unit: str, rng: random.Random) -> Drift:
    what = rng.choice(STOPPED)
    script = f"systemctl {what.format(unit=unit)} {unit} 2>/dev/null"
    return Drift(f"{unit}: {what}", host, service.task, script, service.unit, turn=STOPS)


def _memory(host: str, service: Service, path: str, rng: random.Random) -> Drift:
    what, script = rng.choice((("deleted", f"rm {path}"), ("torn", f"truncate --size=-7 {path}")))
    return Drift(f"{path}: {what}", host, service.task, script, may=service.unit, turn=CONTENTS)


def _journal(host: str, service: Service, path: str, rng: random.Random) -> Drift:
    """What a run leaves that was killed, in each of its phases."""
    phase = rng.choice(("staging", "changing", "undoing"))
    journal = {"transaction": f"{rng.getrandbits(64):016x}", "enabled": True, "running": True, "phase": phase}
    script = f"umask 077; echo {shlex.quote(json.dumps(journal))} >{path}"
    return Drift(f"{path}: of a run killed while {phase}", host, service.task, script, may=service.unit, turn=CONTENTS)


def _staged(host: str, service: Service, _what: str, rng: random.Random) -> Drift:
    path = rng.choice((*service.texts, *service.binaries))
    directory, _, name = path.rpartition("/")
    script = f"umask 077; echo torn >{directory}/.{name}.wonder-mesh"
    return Drift(f"{path}: a staged one beside it", host, service.task, script, turn=STOPS)


def _view(host: str, service: Service, path: str, _rng: random.Random) -> Drift:
    """A killed checker's private copies."""
    script = f"umask 077; mkdir --parents {path}/etc; echo torn >{path}/etc/copy"
    return Drift(f"{path}: left", host, service.task, script, turn=CONTENTS)


def _chmod_or_chown(rng: random.Random, modes: tuple[str, ...]) -> str:
    return f"chmod {rng.choice(modes)}" if rng.random() < 0.5 else f"chown {rng.choice(OWNERS)}"
