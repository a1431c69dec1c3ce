# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The failures of a run as text for people: who, where, what was said, and what to do."""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# What is in every result, or is said elsewhere.
NOISE = {
    "ansible_facts", "ansible_loop_var", "assertion", "attempts", "censored", "changed", "delta", "end", "evaluated_to",
    "exception", "failed", "item", "msg", "results", "skipped", "start", "stderr_lines", "stdout_lines", "unreachable",
}  # fmt: skip
FIXES = (
    (
        re.compile(r"host key verification failed", re.IGNORECASE),
        "Log in once by `ssh` from this machine and compare the host's key. If the host was installed anew,"
        " `ssh-keygen -R` forgets its old key.",
    ),
    (
        re.compile(r"permission denied \(|authentication fail|too many authentication", re.IGNORECASE),
        "Set ansible_user and ansible_ssh_private_key_file to a login that this host lets in, and try it with `ssh`.",
    ),
    (
        re.compile(r"missing sudo password|a password is required|incorrect sudo password", re.IGNORECASE),
        "Add --ask-become-pass to the command, or let this user run sudo without a password.",
    ),
    (
        re.compile(r"python3?: (not found|No such file)|no python interpreters? found", re.IGNORECASE),
        "Install python3 there, or set ansible_python_interpreter to where it is.",
    ),
)
OUT_OF_REACH = (
    "See that it is switched on and that `ssh` from this machine opens a shell on it (ansible_host, ansible_port,"
    " ansible_user). To go on without it, add --limit 'LIMIT'."
)
HIDDEN = "What it said may hold a secret and is hidden (no_log). Look into the host's journal."


class Failure(t.NamedTuple):
    """What went wrong in one task, and the hosts that said exactly this."""

    task: str
    where: str  # the task's file and line
    unreachable: bool
    message: str
    details: str
    hosts: list[str]


class Failures:
    """All failures so far, equal ones of several hosts together."""

    def __init__(self) -> None:
        self._all: list[Failure] = []

    def add(self, host: str, failure: Failure) -> None:
        for each in self._all:
            if each[:-1] == failure[:-1]:
                each.hosts.append(host)
                return
        self._all.append(failure._replace(hosts=[host]))

    def of(self, lost: set[str]) -> list[Failure]:
        """Those of these hosts; others were ignored or rescued."""
        kept = (each._replace(hosts=[host for host in each.hosts if host in lost]) for each in self._all)
        return [each for each in kept if each.hosts]


def failure(
    task: str, where: str, result: Mapping[str, t.Any], dump: Callable[[dict[str, t.Any]], str], unreachable: bool
) -> Failure:
    """``dump`` makes text of what a result holds besides its message. A loop's items speak for themselves."""
    items = [each for each in result.get("results") or [] if each.get("failed") or each.get("unreachable")]
    said = [message(each) for each in items] or [message(result)]
    details = [text for each in items or [result] if (text := dump(details_of(each)).strip("\n"))]
    return Failure(task, where, unreachable, "\n".join(said), "\n".join(details), [])


def message(result: Mapping[str, t.Any]) -> str:
    if "censored" in result:
        return str(result["censored"])
    said = result.get("msg") or "it failed and said nothing"
    text = "\n".join(map(str, said)) if isinstance(said, list) else str(said)
    label = result.get("_ansible_item_label", result.get("item"))
    return text if label is None else f"(item {label}) {text}"


def details_of(result: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What helps besides the message: the output of a command, the traceback of a module and the like."""
    if "censored" in result:
        return {}
    kept = {key: value for key, value in result.items() if key not in NOISE and not key.startswith("_")}
    return {key: value for key, value in kept.items() if value not in ("", [], None)}


def fix(each: Failure) -> str:
    """What to do, where the message itself does not say it."""
    text = f"{each.message}\n{each.details}"
    for pattern, advice in FIXES:
        if pattern.search(text):
            return advice
    if each.unreachable:
        return OUT_OF_REACH.replace("LIMIT", ",".join(["all", *(f"!{host}" for host in each.hosts)]))
    return HIDDEN if "no_log" in each.message else ""
