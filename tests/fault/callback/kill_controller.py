# SPDX-License-Identifier: MIT
"""A callback that kills the whole controller, itself and its workers, at boundary number ``KILL_AT`` of a run.

A boundary is the start of a task, and the moment when a host has done with one. Their number goes to ``KILL_COUNT``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import typing as t

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kill_controller"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._passed = 0

    def _boundary(self) -> None:
        self._passed += 1
        with open(os.environ["KILL_COUNT"], "w", encoding="ascii") as stream:
            stream.write(str(self._passed))
        if self._passed == int(os.environ["KILL_AT"]):
            for each in _descendants(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        self._boundary()

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._boundary()


def _descendants(process: int) -> list[int]:
    """Workers, and the connections that they hold."""
    with open(f"/proc/{process}/task/{process}/children", encoding="ascii") as stream:
        children = [int(each) for each in stream.read().split()]
    return [each for child in children for each in (child, *_descendants(child))]
