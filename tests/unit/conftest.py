# SPDX-License-Identifier: MIT
"""Fixtures for all unit tests."""

from __future__ import annotations

import json
import os
import typing as t

import pytest
from ansible.module_utils import basic
from ansible.module_utils.common.warnings import get_deprecation_messages
from ansible.module_utils.testing import patch_module_args
from ansible.utils.display import Display
from hypothesis import settings

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# For --hypothesis-profile, where the tests run once more with another Python and ansible-core: what they search for
# does not depend on those. A test that wants more examples than usual asks for a multiple of settings().max_examples.
settings.register_profile("few", max_examples=10)


def deprecated(_display: Display, msg: str, *_: t.Any, **__: t.Any) -> t.NoReturn:
    raise AssertionError(f"ansible-core will take this away: {msg}")


Display.deprecated = deprecated  # here and not in a fixture, so that imports do not get by


@pytest.fixture(autouse=True)
def nothing_deprecated() -> Iterator[None]:
    """The same for what runs on hosts: there it is only noted."""
    yield
    assert get_deprecation_messages() == ()


class ModuleExit(Exception):
    """Stands for the exit of the process; carries what the module answered."""

    def __init__(self, result: dict[str, t.Any]) -> None:
        super().__init__(json.dumps(result, default=str))
        self.result = result


@pytest.fixture
def run_module(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, t.Any]]:
    """Call ``run(main, check=, diff=, **arguments)``: what the module answers, at least ``failed`` and ``changed``.

    A module that ends without an answer fails the test; one that raises lets the test see its exception.
    """

    def exit_json(self: basic.AnsibleModule, **result: t.Any) -> t.NoReturn:
        raise ModuleExit({"failed": False, "changed": False} | result)

    def fail_json(self: basic.AnsibleModule, msg: str, **result: t.Any) -> t.NoReturn:
        raise ModuleExit({"failed": True, "msg": msg} | result)

    monkeypatch.setattr(basic.AnsibleModule, "exit_json", exit_json)
    monkeypatch.setattr(basic.AnsibleModule, "fail_json", fail_json)

    def run(
        main: Callable[[], None], *, check: bool = False, diff: bool = False, **arguments: t.Any
    ) -> dict[str, t.Any]:
        internal = {"_ansible_check_mode": check, "_ansible_diff": diff}
        mask = os.umask(0o022)  # a module sets its own, for its process, which here goes on
        try:
            with patch_module_args(arguments | internal), pytest.raises(ModuleExit) as caught:
                main()
        finally:
            os.umask(mask)
        return caught.value.result

    return run
