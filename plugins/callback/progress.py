# SPDX-License-Identifier: MIT
"""Shows a run to a person: what each host does, how far the run is, and at the end what failed, with the fix."""

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: stdout
short_description: Show what each host is doing now and how far the run is
version_added: 0.1.0
author:
  - The Wonder Mesh authors (@wonder-mesh)
description:
  - On a terminal, one line for each host moves and says what the host is doing now and for how long, below one for the
    run. Elsewhere, plain lines say it.
  - Failures are told in one line when they happen, and in full at the end, with what to do.
  - Each colour stands beside a word that says the same. The environment variable E(NO_COLOR) switches colours off.
  - With C(-v) it shows results too, with C(--diff) differences. What C(no_log) hides stays hidden.
requirements:
  - rich, on the controller
extends_documentation_fragment:
  - result_format_callback
"""

EXAMPLES = r"""
# In ansible.cfg:
# [defaults]
# stdout_callback = wonder.mesh.progress
"""

import atexit
import os
import time
import typing as t

from ansible.playbook.block import Block
from ansible.plugins.callback import CallbackBase

from ansible_collections.wonder.mesh.plugins.plugin_utils._failures import Failures, failure, fix
from ansible_collections.wonder.mesh.plugins.plugin_utils._progress import Progress, clock_time
from ansible_collections.wonder.mesh.plugins.plugin_utils._progress_view import View, is_terminal

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ansible.executor.stats import AggregateStats
    from ansible.executor.task_result import CallbackTaskResult
    from ansible.inventory.host import Host
    from ansible.playbook import Playbook
    from ansible.playbook.play import Play
    from ansible.playbook.task import Task

# Ansible's names for colours that differ for every kind of colour vision.
COLOURS = {"changed": "yellow", "FAILED": "bright magenta", "unreachable": "bright magenta", "ok": "blue"}
RECAP = ("ok", "changed", "unreachable", "failures", "skipped", "rescued", "ignored")


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "wonder.mesh.progress"

    def __init__(self) -> None:
        super().__init__()
        self._progress = Progress([], time.monotonic)
        self._failures = Failures()
        self._view: View | None = None
        self._told: str = ""
        self._over = False

    # The run, its plays and its tasks.

    def v2_playbook_on_start(self, playbook: Playbook) -> None:
        self._progress = Progress([list(_tasks(play.compile())) for play in playbook.get_plays()], time.monotonic)
        atexit.register(self._end)
        if is_terminal():
            self._view = View(self._progress)

    def v2_playbook_on_play_start(self, play: Play) -> None:
        self._progress.start_play(play.get_name().strip())
        self._say(f"play {self._progress.play} of {self._progress.plays}: {self._progress.title}", plain_only=True)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        self._say("no host of this play is in the inventory and the limit", plain_only=True)

    def v2_playbook_on_task_start(self, task: Task, is_conditional: bool) -> None:
        self._progress.start_task(task._uuid)
        if self._told != task._uuid:
            self._told = task._uuid
            self._say(_title(task), plain_only=True)

    def v2_playbook_on_handler_task_start(self, task: Task) -> None:
        self.v2_playbook_on_task_start(task, False)

    def v2_playbook_on_vars_prompt(self, *_arguments: t.Any, **_more: t.Any) -> None:
        self._stop()  # a question needs the terminal for itself

    # What hosts do.

    def v2_runner_on_start(self, host: Host, task: Task) -> None:
        self._progress.start_host(host.get_name(), _title(task))

    def v2_runner_on_ok(self, result: CallbackTaskResult) -> None:
        self._done(result, "changed" if result.result.get("changed") else "ok")

    def v2_runner_on_skipped(self, result: CallbackTaskResult) -> None:
        self._progress.end_host(result.host.get_name(), _title(result.task), "skipped")

    def v2_runner_on_failed(self, result: CallbackTaskResult, ignore_errors: bool = False) -> None:
        if ignore_errors:
            self._done(result, "ok", f"failed, which is ignored: {result.result.get('msg', '')}")
        else:
            self._lost(result, "FAILED")

    def v2_runner_on_unreachable(self, result: CallbackTaskResult) -> None:
        self._lost(result, "unreachable")

    def v2_runner_retry(self, result: CallbackTaskResult) -> None:
        left = result.result["retries"] - result.result["attempts"]
        self._say(f"  {self.host_label(result)}: not yet, {left} tries left: {_title(result.task)}")

    def v2_on_file_diff(self, result: CallbackTaskResult) -> None:
        results = result.result["results"] if result.task.loop and "results" in result.result else [result.result]
        for each in results:
            if each.get("diff") and each.get("changed") and (diff := self._get_diff(each["diff"])):
                self._display.display(f"{self.host_label(result)}: {_title(result.task)}\n{diff}")

    def _done(self, result: CallbackTaskResult, outcome: str, remark: str = "") -> None:
        label = self.host_label(result)
        took = self._progress.end_host(result.host.get_name(), _title(result.task), outcome)
        self._handle_warnings(result.result)
        shown = "" if outcome == "ok" and not remark and not self._display.verbosity else _title(result.task)
        if shown:
            self._say(f"  {outcome:<11}  {label}: {shown} ({took:.1f} s){remark and ': ' + remark}", outcome)
        if self._run_is_verbose(result):
            self._display.display(f"  {label}: {self._dump_results(result.result)}")

    def _lost(self, result: CallbackTaskResult, outcome: str) -> None:
        label, title = self.host_label(result), _title(result.task)
        self._progress.end_host(result.host.get_name(), title, outcome)
        self._say(f"  {outcome:<11}  {label}: {title}; more at the end", outcome)
        self._handle_warnings(result.result)
        if self._display.verbosity > 2:
            self._handle_exception(result.result)
        result.result.pop("exception", None)
        shown = failure(title, result.task.get_path() or "", result.result, self._details, outcome == "unreachable")
        self._failures.add(result.host.get_name(), shown)

    def _details(self, details: dict[str, t.Any]) -> str:
        return self._dump_results(details) if self._dump_results(details, serialize=False) else ""

    # The end.

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        self._stop()
        self._over = True
        hosts = {name: stats.summarize(name) for name in sorted(stats.processed)}
        self._display.display("")
        for name, counts in hosts.items():
            words = " ".join(f"{'failed' if key == 'failures' else key}={counts[key]:<4}" for key in RECAP)
            self._display.display(f"{name:<26} : {words}".rstrip(), color=_worst(counts))
        lost = {name for name, counts in hosts.items() if counts["failures"] or counts["unreachable"]}
        changed = sum(counts["changed"] > 0 for counts in hosts.values())
        self._tell_failures(lost)
        word = f"Failed on {len(lost)} of" if lost else "Done on"
        count = f"{len(hosts)} host{'' if len(hosts) == 1 else 's'}"
        self._display.display(f"\n{word} {count}, {changed} of them changed, after {self._clock()}.")

    def _end(self) -> None:
        """At the exit, however it comes: a run that is interrupted has no other end."""
        self._stop()
        if not self._over:
            self._tell_failures(set(self._progress.hosts))

    def _stop(self) -> None:
        if self._view:
            self._view.stop()

    def _tell_failures(self, lost: set[str]) -> None:
        failures = self._failures.of(lost)
        for number, each in enumerate(failures, 1):
            word = "unreachable" if each.unreachable else "FAILED"
            heading = f"{word} ({number} of {len(failures)}): {each.task}, on {', '.join(each.hosts)}"
            self._display.display("")
            self._display.display(heading, color=COLOURS["FAILED"])
            self._display.display("\n".join(f"  {line}" for line in each.message.splitlines()))
            if each.details:
                self._display.display(each.details)
            if advice := fix(each):
                self._display.display(f"  What to do: {advice}")
            if each.where:
                self._display.display(f"  The task is in {os.path.relpath(each.where)}.")
        if failures:
            self._display.display("\nWith that mended, the same command goes on from here.")

    def _clock(self) -> str:
        return clock_time(self._progress.elapsed)

    def _say(self, text: str, outcome: str = "", *, plain_only: bool = False) -> None:
        """One line, with how far the run is; what the moving lines show anyway is for the others and the log."""
        line = f"{self._clock():>5} {self._progress.share:>4.0%}  {text}"
        self._display.display(line, color=COLOURS.get(outcome), log_only=plain_only and self._view is not None)


def _tasks(blocks: Iterable[t.Any]) -> Iterator[str]:
    """The ids of all tasks in the order in which they come when nothing fails."""
    for each in blocks:
        if isinstance(each, Block):
            yield from _tasks([*each.block, *each.always])
        elif not each.implicit:
            yield each._uuid


def _title(task: Task) -> str:
    """The name of the task without that of its role."""
    return str(task.get_name()).rpartition(" : ")[2].strip()


def _worst(counts: dict[str, int]) -> str | None:
    lost = counts["failures"] or counts["unreachable"]
    return COLOURS["FAILED" if lost else "changed" if counts["changed"] else "ok"]
