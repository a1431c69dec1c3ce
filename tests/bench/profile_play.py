# SPDX-License-Identifier: MIT
"""Where a play's CPU time goes on the controller: ``python -m tests.bench.profile_play ARGUMENTS-OF-ANSIBLE-PLAYBOOK``.

Ansible forks a process for each task on each host. Printed are the time of the main process until the first play and
after it, and for each task the time of its processes, with the SSH clients that they waited for. The clients that stay
in the background are not in it.
"""

from __future__ import annotations

import collections
import os
import resource
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from ansible.cli.playbook import PlaybookCLI
from ansible.executor.playbook_executor import PlaybookExecutor
from ansible.executor.process.worker import WorkerProcess


def used() -> float:
    """CPU time of this process and the children that it has waited for, in seconds."""
    each = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in each)


def main(arguments: list[str]) -> int:
    marks: list[float] = []
    run_play, run_task = PlaybookExecutor.run, WorkerProcess.run
    with tempfile.TemporaryDirectory() as directory:

        def executor(self: PlaybookExecutor) -> t.Any:
            marks.append(time.process_time())
            return run_play(self)

        def worker(self: WorkerProcess) -> None:
            before = used()
            try:
                run_task(self)
            finally:
                text = f"{used() - before}\t{self._task.get_name()}"
                Path(directory, str(os.getpid())).write_text(text, encoding="utf-8")

        PlaybookExecutor.run, WorkerProcess.run = executor, worker
        status = PlaybookCLI(["ansible-playbook", *arguments]).run()
        tasks: dict[str, list[float]] = collections.defaultdict(list)
        for path in sorted(Path(directory).iterdir(), key=lambda path: path.stat().st_mtime_ns):
            seconds, name = path.read_text(encoding="utf-8").split("\t")
            tasks[name].append(float(seconds))
    total = time.process_time()
    print(f"\n{'CPU, ms':>8}  hosts")
    print(f"{1000 * marks[0]:8.0f}         start: Python, Ansible, inventory")
    print(f"{1000 * (total - marks[0]):8.0f}         main process: playbooks, roles, forks, results")
    for name, each in tasks.items():
        print(f"{1000 * sum(each):8.0f}  {len(each):5}  {name}")
    print(f"{1000 * (total + sum(map(sum, tasks.values()))):8.0f}         all")
    return int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
