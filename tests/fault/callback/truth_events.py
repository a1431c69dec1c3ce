# SPDX-License-Identifier: MIT
"""A callback that writes what each task said about each host, as a JSON line, to the file ``TRUTH_EVENTS``."""

from __future__ import annotations

import json
import os
import typing as t

from ansible.plugins.callback import CallbackBase

KEPT = ("changed", "diff", "restarted", "reloaded", "joined", "unknown", "skipped")


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "truth_events"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, outcome: str, result: t.Any) -> None:
        said = result._result
        line = {
            "task": result._task.get_name().rpartition(" : ")[2],
            "host": result._host.get_name(),
            "outcome": outcome,
            "said": {key: said[key] for key in KEPT if key in said},
            "message": str(said.get("msg", "")) if outcome != "ok" else "",
        }
        with open(os.environ["TRUTH_EVENTS"], "a", encoding="utf-8") as stream:
            stream.write(json.dumps(line, sort_keys=True) + "\n")

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._write("ok", result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._write("failed", result)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._write("unreachable", result)
