# SPDX-License-Identifier: MIT
"""What may happen to a host behind our back, by random choice: drifts as scripts, and what a run may then touch."""

from __future__ import annotations

import dataclasses
import json
import shlex
import typing as t

if t.TYPE_CHECKING:
    import random
    from collections.abc import Callable

HEADSCALE, POLICY, REGISTRY = "Run Headscale", "Set the policy", "nodes | Give every node its tags and routes"
CADDY, TAILSCALED, NODE, PROBE = "Run Caddy", "Run tailscaled", "Join the mesh", "Answer probes"
UNITS, BIN, LIB = "/etc/systemd/system", "/usr/local/bin", "/usr/local/lib"


@dataclasses.dataclass(frozen=True)
class Drift:
    """A script for one host, and the headers in the diff of one task: those that must be there, and that may be."""

    name: str
    host: str
    task: str
    script: str
    must: frozenset[str]
    may: frozenset[str] = frozenset()

    @property
    def turn(self) -> int:
        """When its script runs: those that ask daemons before those that stop them, and a name before it changes."""
        asks = (REGISTRY, POLICY, NODE)
        return asks.index(self.task) if self.task in asks else len(asks)


@dataclasses.dataclass(frozen=True)
class Service:
    """What a role puts on a host: the first unit is the one that runs."""

    task: str
    name: str
    units: tuple[str, ...]
    files: tuple[str, ...]
    binaries: tuple[str, ...]
    directories: tuple[str, ...]


SERVICES = {
    HEADSCALE: Service(
        HEADSCALE,
        "headscale",
        ("headscale.service",),
        ("/etc/headscale/config.yaml",),
        (f"{BIN}/headscale",),
        ("/etc/headscale", "/var/lib/headscale"),
    ),
    CADDY: Service(
        CADDY,
        "caddy",
        ("caddy.service",),
        ("/etc/caddy/caddy.json", "/etc/caddy/certificates/1.crt", "/etc/caddy/certificates/1.key"),
        (f"{BIN}/caddy",),
        ("/etc/caddy", "/etc/caddy/certificates", "/var/lib/caddy"),
    ),
    TAILSCALED: Service(
        TAILSCALED,
        "tailscaled",
        ("tailscaled.service",),
        (f"{LIB}/wonder-mesh-tailscaled/tailscaled_traces.py",),
        (f"{BIN}/tailscale", f"{BIN}/tailscaled"),
        ("/var/lib/tailscale", f"{LIB}/wonder-mesh-tailscaled"),
    ),
    PROBE: Service(
        PROBE,
        "mesh-probe",
        ("mesh-probe.socket", "mesh-probe.service"),
        (f"{LIB}/wonder-mesh/mesh_probe_responder.py",),
        (),
        (f"{LIB}/wonder-mesh",),
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
OWNERS = ("nobody", "nobody:nogroup", ":nogroup", "54321", ":54321")
FILE_MODES = ("0600", "0666", "0777", "0444", "4755")
DIRECTORY_MODES = ("0711", "0777", "1777", "0710", "2755")


def drift(rng: random.Random, host: str, task: str, coordinator: str) -> Drift:
    """One drift of what this task looks after on this host."""
    if task == NODE:
        return _preference(rng, host)
    if task == POLICY:
        return _policy(rng, host)
    if task == REGISTRY:
        return _registry(rng, host, coordinator)
    service = SERVICES[task]
    kinds: list[Callable[[random.Random, str, Service], Drift]] = [_edit, _edit, _attributes, _attributes, _delete]
    kinds += [_directory, _unit_state, _unit_state, _forgotten]
    kinds += [_damage, _damage] if service.binaries else []
    return rng.choice(kinds)(rng, host, service)


def _edit(rng: random.Random, host: str, service: Service) -> Drift:
    path = rng.choice(_texts(service))
    what, script = rng.choice(sorted(EDITS.items()))
    reread = rng.random() < 0.5 and path.startswith(UNITS)
    script = f"f={path}; {script}" + ("; systemctl daemon-reload" if reread else "")
    name = f"{path}: {what}" + (", read by systemd" if reread else "")
    return Drift(name, host, service.task, script, frozenset({path}), _unit(service))


def _attributes(rng: random.Random, host: str, service: Service) -> Drift:
    path = rng.choice([*_texts(service), *service.binaries])
    what = _chmod_or_chown(rng, FILE_MODES)
    return Drift(f"{path}: {what}", host, service.task, f"{what} {path}", frozenset({f"{path} (attributes)"}))


def _directory(rng: random.Random, host: str, service: Service) -> Drift:
    path = rng.choice(service.directories)
    what = _chmod_or_chown(rng, DIRECTORY_MODES)
    return Drift(f"{path}: {what}", host, service.task, f"{what} {path}", frozenset({path}))


def _delete(rng: random.Random, host: str, service: Service) -> Drift:
    path = rng.choice([*_texts(service), *service.binaries])
    return Drift(f"{path}: deleted", host, service.task, f"rm {path}", frozenset({path}), _unit(service))


def _damage(rng: random.Random, host: str, service: Service) -> Drift:
    path = rng.choice(service.binaries)
    what, script = rng.choice(sorted(DAMAGE.items()))
    script = f'f={path}; cp --preserve=mode "$f" "$f.new"; {script}; mv "$f.new" "$f"'
    return Drift(f"{path}: {what}", host, service.task, script, frozenset({path}), _unit(service))


def _unit_state(rng: random.Random, host: str, service: Service) -> Drift:
    unit = service.units[0]
    what = rng.choice(("stop", "disable", "disable --now", "kill --signal=KILL --kill-whom=all; systemctl stop"))
    script = f"systemctl {what.replace(';', f' {unit};')} {unit} 2>/dev/null"
    return Drift(f"{unit}: {what}", host, service.task, script, frozenset({unit}))


def _forgotten(rng: random.Random, host: str, service: Service) -> Drift:
    path = f"/var/lib/wonder-mesh/{service.name}/applied.json"
    what, script = rng.choice((("deleted", f"rm {path}"), ("torn", f"truncate --size=-7 {path}")))
    return Drift(f"{path}: {what}", host, service.task, script, _unit(service))


def _preference(rng: random.Random, host: str) -> Drift:
    word = f"host-{rng.randrange(1000)}"
    flags = (
        [f"set --hostname={word}"],
        [f"set --hostname={word}", "down"],
        ["set --accept-dns=false"],
        ["set --accept-routes"],
        ["set --advertise-routes=10.9.0.0/16,10.8.0.0/16"],
        ["set --update-check"],
        ["down"],
        ["set --accept-routes --accept-dns=false --advertise-routes=10.9.0.0/16", "down"],
    )
    chosen = rng.choice(flags)
    script = "; ".join(f"timeout 20 tailscale {each}" for each in chosen)
    return Drift(f"tailscale {' and '.join(chosen)}", host, NODE, script, frozenset({"the node"}))


def _policy(rng: random.Random, host: str) -> Drift:
    grants = '{"src": ["*"], "dst": ["*"], "ip": ["*"]}'
    what, edit = rng.choice(
        (
            ("a grant more", "d['grants'].append({'src': ['tag:node'], 'dst': ['tag:node'], 'ip': ['tcp:9']})"),
            ("a grant less", "d['grants'].pop(0)"),
            ("no grant", "d['grants'] = []"),
            ("an open one", f"d['grants'] = [{grants}]"),
            ("another tag", "d['tagOwners']['tag:more'] = []"),
        )
    )
    comment = rng.random() < 0.3
    text = "'// by hand\\n' + json.dumps(d)" if comment else "json.dumps(d)"
    python = f"import json, sys; d = json.load(sys.stdin); {edit}; open('/run/policy', 'w').write({text})"
    script = f"headscale policy get | python3 -c {shlex.quote(python)}; headscale policy set --file /run/policy"
    script += "; rm /run/policy"
    name = f"the policy: {what}" + (", with a comment" if comment else "")
    return Drift(name, host, POLICY, script, frozenset({"the policy"}))


def _registry(rng: random.Random, host: str, coordinator: str) -> Drift:
    """Of the node ``host``, in the coordinator's Headscale."""
    find = "import json, sys; print(next(n['id'] for n in json.load(sys.stdin) if n['given_name'] == sys.argv[1]))"
    number = f"$(headscale nodes list --output json | python3 -c {shlex.quote(find)} {host})"
    what = rng.choice(
        (
            f"rename other-{rng.randrange(1000)}",
            f"tag --tags tag:node,tag:node-{coordinator}",
            "tag --tags tag:gateway",
            "approve-routes --routes 10.9.0.0/16",
        )
    )
    script = f"headscale nodes {what} --identifier {number}"
    return Drift(f"headscale nodes {what}", coordinator, REGISTRY, script, frozenset({f"node {host}"}))


def _texts(service: Service) -> list[str]:
    return [*service.files, *(f"{UNITS}/{unit}" for unit in service.units)]


def _unit(service: Service) -> frozenset[str]:
    return frozenset({service.units[0]})


def _chmod_or_chown(rng: random.Random, modes: tuple[str, ...]) -> str:
    return f"chmod {rng.choice(modes)}" if rng.random() < 0.5 else f"chown {rng.choice(OWNERS)}"


def slots(inventory: dict[str, t.Any]) -> list[tuple[str, str]]:
    """What may drift by itself in a fleet: (host, task), of its inventory as data."""
    groups = {name: sorted(group["hosts"]) for name, group in inventory["all"]["children"].items()}
    found = [(host, task) for host in groups["coordinator"] for task in (HEADSCALE, POLICY)]
    found += [(host, CADDY) for host in sorted({*groups["coordinator"], *groups["gateways"]})]
    found += [(host, task) for host in groups["nodes"] for task in (TAILSCALED, NODE, PROBE, REGISTRY)]
    return found


def choose(rng: random.Random, inventory: dict[str, t.Any], number: int) -> list[Drift]:
    """So many drifts that do not meet, in the order in which their scripts run."""
    (coordinator,) = inventory["all"]["children"]["coordinator"]["hosts"]
    chosen = rng.sample(slots(inventory), number)
    drifts = [drift(rng, host, task, coordinator) for host, task in chosen]
    return sorted(drifts, key=lambda each: each.turn)


def describe(drifts: list[Drift]) -> str:
    return json.dumps([f"{each.host}: {each.name}" for each in drifts], indent=1)
