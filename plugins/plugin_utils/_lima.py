# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""Reads what ``limactl list --format json`` prints: one JSON object a line, one line a virtual machine."""

from __future__ import annotations

import json
import shlex
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    Instance = dict[str, t.Any]

NEEDED = {"name", "hostname", "status", "dir", "sshConfigFile"}  # Lima 2.0 tells all of them
ALWAYS = {"name", "status", "dir"}  # also of a machine whose configuration Lima cannot read
BROKEN = {"Broken", ""}  # it has no word for one whose configuration is none
FACTS = {
    "status": "lima_status",
    "arch": "lima_arch",
    "cpus": "lima_cpus",
    "memory": "lima_memory",
    "disk": "lima_disk",
    "vmType": "lima_vm_type",
    "dir": "lima_dir",
}


class LimaError(Exception):
    """What was found, what was expected and what to do."""


def instances(output: str) -> list[Instance]:
    """The machines, by name."""
    found = []
    for number, line in enumerate(output.splitlines(), 1):
        if not line.strip():
            continue
        try:
            each = json.loads(line)
        except ValueError:
            raise LimaError(
                f"line {number} of what `limactl list --format json` prints is no JSON; run it by hand to see what is"
                " wrong"
            ) from None
        told = set(each) if isinstance(each, dict) else set()
        missing = sorted((ALWAYS if told and each.get("status") in BROKEN else NEEDED) - told)
        if missing:
            raise LimaError(f"`limactl list` does not tell {', '.join(missing)} of a machine; Lima 2.0 or newer does")
        found.append(each)
    return sorted(found, key=lambda each: str(each["name"]))


def hosts(found: Iterable[Instance], statuses: Collection[str]) -> list[tuple[str, dict[str, t.Any], list[str]]]:
    """Of each machine with one of these statuses: its name, its variables and its groups."""
    chosen = [each for each in found if each["status"] in statuses and set(each) >= NEEDED]
    return [(each["name"], _variables(each), _groups(each)) for each in chosen]


def broken(found: Iterable[Instance]) -> list[str]:
    """A line for each machine that Lima itself calls broken, or does not know what to call."""
    return [_remark(each) for each in found if each["status"] in BROKEN]


def _remark(each: Instance) -> str:
    # Lima tells most reasons by what Go makes of an error in JSON: its parts without its words.
    reasons = [reason for reason in each.get("errors") or [] if isinstance(reason, str)]
    why = "; ".join(reasons) or f"`limactl list {each['name']}` says why"
    fix = f"`limactl delete -f {each['name']}` removes it" if _is_configured(each) else f"remove {each['dir']} by hand"
    return f"Lima's machine {each['name']} is broken: {why}; {fix}"


def _is_configured(each: Instance) -> bool:
    """Whether there is a lima.yaml, without which limactl deletes nothing."""
    return bool(each.get("hostname"))


def _variables(each: Instance) -> dict[str, t.Any]:
    known = {name: each[key] for key, name in FACTS.items() if key in each}
    reached = {
        "ansible_host": each["hostname"],
        "ansible_ssh_common_args": f"-F {shlex.quote(each['sshConfigFile'])}",
        "lima_param": _params(each),
    }
    return {**reached, **known}


def _groups(each: Instance) -> list[str]:
    params = [f"param_{name}_{value}" for name, value in sorted(_params(each).items())]
    return [f"status_{each['status'].lower()}", *params]


def _params(each: Instance) -> dict[str, str]:
    """Beside the machine in Lima 2.0 and newer, inside its configuration too."""
    return dict(each.get("param") or (each.get("config") or {}).get("param") or {})
