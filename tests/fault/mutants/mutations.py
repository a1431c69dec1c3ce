# SPDX-License-Identifier: MIT
"""Mutants of a good inventory: one thing in it is another, by a seed that makes the same one again."""

from __future__ import annotations

import copy
import dataclasses
import difflib
import random
import typing as t

import yaml

from ansible_collections.wonder.mesh.plugins.plugin_utils._options import CHECKED_ELSEWHERE, PLAYERS, options
from ansible_collections.wonder.mesh.plugins.plugin_utils._variables import VARIABLES
from tests.fault.mutants.nasty import ANYTHING, CONNECTION, FIELDS, HOSTNAMES, ITEMS, PLAUSIBLE, SERVICE

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Data = dict[str, t.Any]
GROUPS = ("coordinator", "gateways", "relays", "nodes", "strangers")
PLAUSIBLE_SHARE = 0.5
BINARIES = {  # of the roles that have programs
    "caddy": ["caddy"],
    "derper": ["derper"],
    "headscale": ["headscale"],
    "tailscaled": ["tailscale", "tailscaled"],
    "wireguard": ["wireguard-go"],
}


@dataclasses.dataclass(frozen=True)
class Mutant:
    """An inventory as text, and what makes it another one than the good one: the lines of a diff."""

    seed: str
    text: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return f"mutation {self.seed}:\n" + "\n".join(self.lines)


class Mutator:
    """Mutants of one inventory; ``files`` are those that certificates and programs may come from, by name."""

    def __init__(self, good: Data, files: Mapping[str, Path], tmp: Path) -> None:
        self._good, self._files, self._tmp = good, files, tmp
        self.text = dump(good)

    def mutant(self, seed: str) -> Mutant:
        rng = random.Random(seed)  # noqa: S311
        data = copy.deepcopy(self._good)
        kinds: list[Callable[[random.Random, Data], None]] = [
            *[self._mesh_variable] * 5, *[self._role_variable] * 7, *[self._service] * 5, *[self._group] * 3,
            *[self._hostname] * 2, *[self._connection] * 2, self._grant, self._typo, self._certificate, self._program,
            self._twin, self._shape,
        ]  # fmt: skip
        rng.choice(kinds)(rng, data)
        text = dump(data)
        if rng.random() < 0.03:
            text = _torn(rng, text)
        old, new = self.text.splitlines(), text.splitlines()
        lines = [
            line for line in difflib.unified_diff(old, new, n=0, lineterm="") if line[:2] not in ("--", "++", "@@")
        ]
        return Mutant(seed, text, tuple(line if len(line) < 200 else f"{line[:200]}..." for line in lines))

    def _mesh_variable(self, rng: random.Random, data: Data) -> None:
        self._set(rng, data, rng.choice([*VARIABLES, "tailscaled_tun"]))

    def _role_variable(self, rng: random.Random, data: Data) -> None:
        names = [*options(), *CHECKED_ELSEWHERE, "headscale_prefix_v4"]
        self._set(rng, data, rng.choice([each for each in names if not each.endswith(("_source", "certificates"))]))

    def _set(self, rng: random.Random, data: Data, name: str) -> None:
        value = self._value(rng, PLAUSIBLE.get(name, ()))
        everywhere = name.startswith("mesh_") and name not in ("mesh_home", "mesh_nat", "mesh_public_address")
        where = data["all"]["vars"] if rng.random() < (0.8 if everywhere else 0.2) else self._host(rng, data)
        if rng.random() < 0.05:
            where.pop(name, None)
        else:
            where[name] = value

    def _value(self, rng: random.Random, plausible: tuple[t.Any, ...]) -> t.Any:
        value = rng.choice(plausible if plausible and rng.random() < PLAUSIBLE_SHARE else ANYTHING)
        return value.replace("{tmp}", str(self._tmp)) if isinstance(value, str) else copy.deepcopy(value)

    def _host(self, rng: random.Random, data: Data) -> Data:
        return t.cast("Data", data["all"]["hosts"][rng.choice(sorted(data["all"]["hosts"]))])

    def _service(self, rng: random.Random, data: Data) -> None:
        hosts = [host for host in data["all"]["hosts"].values() if host.get("mesh_services")]
        services = rng.choice(hosts)["mesh_services"]
        what = rng.random()
        if what < 0.1:
            services.append(copy.deepcopy(rng.choice([*services, SERVICE])))
            return
        if what < 0.2:
            target = self._host(rng, data).setdefault("mesh_services", [])
            target.append(copy.deepcopy(rng.choice([*services, SERVICE])))
            return
        service = rng.choice(services)
        field = rng.choice(sorted(FIELDS))
        if what < 0.25:
            service.pop(field, None)
        else:
            service[field] = self._value(rng, FIELDS[field])

    def _grant(self, rng: random.Random, data: Data) -> None:
        grant: Data = {"from": ["box-1"], "to": ["vps"], "ports": ["tcp:443"]}
        key = rng.choice(sorted(ITEMS))
        grant[key] = self._value(rng, ITEMS[key])
        data["all"]["vars"]["mesh_grants"] = [grant]

    def _group(self, rng: random.Random, data: Data) -> None:
        children = data["all"]["children"]
        group, host = rng.choice(GROUPS), rng.choice(sorted(data["all"]["hosts"]))
        members = children.setdefault(group, {"hosts": {}})["hosts"]
        what = rng.choice(("empty", "add", "move", "remove", "drop", "stranger", "null"))
        if what == "empty":
            members.clear()
        elif what == "drop":
            children.pop(group)
        elif what == "null":
            children[group] = None
        elif what == "stranger":
            children["nodes"]["hosts"]["nowhere"] = {}
        elif what == "remove":
            members.pop(host, None)
        else:
            if what == "move":
                for other in children.values():
                    other["hosts"].pop(host, None)
            members[host] = {}

    def _hostname(self, rng: random.Random, data: Data) -> None:
        old, new = rng.choice(sorted(data["all"]["hosts"])), rng.choice(HOSTNAMES)
        for hosts in (data["all"]["hosts"], *(group["hosts"] for group in data["all"]["children"].values())):
            if old in hosts:
                items = [(new if name == old else name, value) for name, value in hosts.items()]
                hosts.clear()
                hosts.update(items)

    def _twin(self, rng: random.Random, data: Data) -> None:
        """A second name for a host."""
        host = rng.choice(sorted(data["all"]["hosts"]))
        data["all"]["hosts"]["twin"] = copy.deepcopy(data["all"]["hosts"][host])
        data["all"]["children"]["nodes"]["hosts"]["twin"] = {}

    def _connection(self, rng: random.Random, data: Data) -> None:
        name = rng.choice(sorted(CONNECTION))
        self._host(rng, data)[name] = self._value(rng, CONNECTION[name])

    def _typo(self, rng: random.Random, data: Data) -> None:
        name = rng.choice([*VARIABLES, *options()])
        place = rng.randrange(len(name.partition("_")[0]) + 1, len(name))
        self._host(rng, data)[name[:place] + name[place + 1 :] + rng.choice(("", "s"))] = "x"

    def _certificate(self, rng: random.Random, data: Data) -> None:
        host = data["all"]["hosts"][rng.choice(sorted(data["all"]["children"]["coordinator"]["hosts"]))]
        pairs = host.setdefault("caddy_certificates", [])
        names = [*(name for name in self._files if name.endswith((".pem", ".key"))), "nothing", "", "/etc", "/dev/zero"]
        chosen = {"certificate": rng.choice(names), "key": rng.choice(names)}
        pair: t.Any = {kind: str(self._files.get(name, name)) for kind, name in chosen.items()}
        if rng.random() < 0.5:  # a pair that belongs together
            stem = rng.choice(sorted(name[:-4] for name in self._files if name.endswith(".key")))
            pair = {kind: str(self._files[stem + end]) for kind, end in (("certificate", ".pem"), ("key", ".key"))}
        if rng.random() < 0.2:
            pair = self._value(rng, ())
        pairs[:] = [*pairs, pair] if rng.random() < 0.7 else [pair]

    def _program(self, rng: random.Random, data: Data) -> None:
        role = rng.choice(sorted(BINARIES))
        binaries = BINARIES[role]
        name = rng.choice(sorted(name for name in self._files if name.startswith("program")))
        source: Data = {"file": str(self._files[name]), "sha256": self._files[f"sha256 of {name}"].name}
        broken = rng.random()
        if broken < 0.3:
            source[rng.choice(("file", "sha256", "url"))] = self._value(
                rng, ("https://x.y/z", "http://x.y/z", "0" * 64)
            )
        arch = "amd64" if broken > 0.4 else rng.choice(("arm64", "x86_64", "amd64 "))
        sources: t.Any = {arch: {binary: dict(source) for binary in binaries}}
        if rng.random() < 0.2:
            sources = self._value(rng, ({"amd64": {}}, {"amd64": {"sh": source}}))
        groups = data["all"]["children"]
        host = rng.choice(sorted((groups.get(PLAYERS[role][0]) or {}).get("hosts") or groups["nodes"]["hosts"]))
        data["all"]["hosts"][host][f"{role}_program_source"] = sources

    def _shape(self, rng: random.Random, data: Data) -> None:
        """Something where the inventory's own form wants something else."""
        value = self._value(rng, ())
        place = rng.choice(("vars", "hosts", "host", "children", "group", "top"))
        if place in ("vars", "hosts", "children"):
            data["all"][place] = value
        elif place == "host":
            data["all"]["hosts"][rng.choice(sorted(data["all"]["hosts"]))] = value
        elif place == "group":
            data["all"]["children"][rng.choice(GROUPS)] = value
        else:
            data["all"] = value


def dump(data: Data) -> str:
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=10**6, allow_unicode=False)


class _Dumper(yaml.CSafeDumper):
    """Without anchors, which hide what differs."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def _torn(rng: random.Random, text: str) -> str:
    """What an editor or a merge may leave."""
    lines = text.splitlines(keepends=True)
    place = rng.randrange(len(lines))
    return rng.choice(
        (
            "".join(lines[:place]),
            "".join([*lines[:place], lines[place], *lines[place:]]),
            "".join([*lines[:place], "<<<<<<< HEAD\n", *lines[place:]]),
            "".join([*lines[:place], "\t" + lines[place], *lines[place + 1 :]]),
            "".join([*lines[:place], " " + lines[place], *lines[place + 1 :]]),
        )
    )
