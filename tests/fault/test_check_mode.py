# SPDX-License-Identifier: MIT
"""A check foretells a run exactly: on hosts with nothing on them, and after whatever happened to them."""

from __future__ import annotations

import typing as t

from tests.fault.events import astray, untrue
from tests.fault.ground import moved, restored

if t.TYPE_CHECKING:
    from tests.fault.rounds import Bare, Rest, Round

# On a bare host nobody knows the addresses that the coordinator will give; the check says so in the socket's place.
SOCKET = "/etc/systemd/system/mesh-probe.socket"


def test_a_check_of_bare_hosts_writes_nothing(bare: Bare) -> None:
    assert moved(bare.before, bare.after) == []


def test_a_check_of_bare_hosts_foretells_all_but_addresses(bare: Bare) -> None:
    wrong = [each for each in untrue(bare.foretold, bare.done) if SOCKET not in each]
    assert wrong == []


def test_a_check_foretells_the_run_byte_for_byte(drifted: Round) -> None:
    assert untrue(drifted.foretold, drifted.done) == []


def test_a_check_writes_nothing(drifted: Round) -> None:
    assert moved(drifted.drifted, drifted.checked) == []


def test_a_run_touches_only_what_drifted(drifted: Round) -> None:
    assert astray(drifted.drifts, drifted.done.headers()) == []


def test_a_run_repairs_what_drifted(drifted: Round) -> None:
    assert moved(restored(drifted.clean), restored(drifted.repaired)) == []


def test_the_next_run_has_nothing_to_change(rest: Rest) -> None:
    assert rest.done.headers() == {}


def test_a_run_with_nothing_to_change_leaves_everything_as_it_is(rest: Rest) -> None:
    assert moved(rest.before, rest.after) == []
