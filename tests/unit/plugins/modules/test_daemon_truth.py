# SPDX-License-Identifier: MIT
"""A check and the run after it say the same, also of what systemd has not noticed yet."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.plugins.modules.daemon_host import Host, Run


@pytest.mark.parametrize("drift", [lambda path: path.unlink(), lambda path: path.write_text("")], ids=["gone", "empty"])
def test_a_unit_without_its_file_is_not_enabled_whether_systemd_knows_that_or_not(
    host: Host, run_daemon: Run, drift: Callable[[Path], None]
) -> None:
    assert not run_daemon(host.wanted())["failed"]
    drift(host.units / "demo.service")
    foretold = run_daemon(host.wanted() | {"uploads": {}}, check_mode=True)
    host.run_command(["timeout", "90", "systemctl", "daemon-reload"])  # for another unit, meanwhile
    done = run_daemon(host.wanted())
    assert foretold["diff"][-1]["before"] == "enabled: no\nrunning: with its previous configuration\n"
    assert (done["failed"], done["diff"], host.unit().enabled) == (False, foretold["diff"], True)
