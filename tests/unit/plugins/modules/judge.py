# SPDX-License-Identifier: MIT
"""Stands for the trial of a change, without a process of its own."""

from __future__ import annotations

import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._trial import TrialError

if t.TYPE_CHECKING:
    import types
    from collections.abc import Callable

    import pytest


class Judge:
    """``trials`` are the names of the trials that a module asked for; with ``reason``, none of them is confirmed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: types.ModuleType, reason: str = "") -> None:
        self.trials: list[str] = []
        self._reason = reason
        monkeypatch.setattr(module, "on_trial", self._on_trial)

    def _on_trial(self, trial: str, change: Callable[[Callable[[], None]], dict[str, t.Any]], _run: t.Any) -> t.Any:
        self.trials.append(trial)
        return change(self._prove)

    def _prove(self) -> None:
        if self._reason:
            raise TrialError(self._reason)
