# SPDX-License-Identifier: MIT

"""Starts ansible-playbook again and again. Each is a fork of this process, which has imported Ansible once: that takes
longer than most plays of the tests do.

Each line of stdin is a JSON object with ``directory`` and ``arguments``; each line of stdout tells of one run its
``returncode``, ``stdout`` and ``stderr``.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import tempfile
import typing as t

from ansible import constants
from ansible.cli.playbook import main as ansible_playbook

SECONDS = 120


def main() -> None:
    gc.freeze()  # nobody looks for garbage in what is imported, which takes each run a quarter of its time
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


def answer(order: dict[str, t.Any]) -> dict[str, t.Any]:
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        child = os.fork()
        if not child:
            for number, name in enumerate((os.open(os.devnull, os.O_RDONLY), stdout.fileno(), stderr.fileno())):
                os.dup2(name, number)
            signal.alarm(SECONDS)
            os.chdir(order["directory"])
            constants.DEFAULT_LOCAL_TMP = tempfile.mkdtemp(dir=os.environ["HOME"])  # each run removes its own
            ansible_playbook(["ansible-playbook", *order["arguments"]])  # never comes back
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said = [(file.seek(0), file.read().decode())[1] for file in (stdout, stderr)]
    return {"returncode": ended, "stdout": said[0], "stderr": said[1]}


if __name__ == "__main__":
    main()
