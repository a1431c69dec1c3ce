# SPDX-License-Identifier: MIT
"""A gateway of more services than it asks how they are: a real Caddy brings each name to its own program."""

from __future__ import annotations

import contextlib
import typing as t

import pytest

from fleet.authority import Authority
from tests.programs.gateway import HEALTH, Asked, Gateway, Program
from tests.unit.plugins.plugin_utils.mesh_world import model

if t.TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 1500
LIMITED = 700  # the service that takes little


class World(t.NamedTuple):
    gateway: Gateway
    programs: tuple[Program, Program]

    def who_was_asked(self, name: str) -> list[int]:
        """Which of the programs got a request for this name."""
        before = [len(program.asked) for program in self.programs]
        assert self.gateway.ask(name, sni=name.lower()).status == 200
        return [number for number, program in enumerate(self.programs) if len(program.asked) > before[number]]


def name_of(number: int) -> str:
    return f"s{number:04}.apps.example.com"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Services in turn by two programs."""
    with contextlib.ExitStack() as stack:
        programs = stack.enter_context(Program(Asked)), stack.enter_context(Program(Asked))
        services: list[dict[str, t.Any]] = [
            {"name": f"s{number}", "host": name_of(number), "port": programs[number % 2].port, "health": HEALTH}
            for number in range(MANY)
        ]
        services[LIMITED]["max_body"] = "1kB"
        none: dict[str, t.Any] = {"mesh_services": None}
        hosts = {"nas": {"mesh_services": services}, "mini-1": none, "mini-2": none}
        gateway = Gateway(tmp_path_factory.mktemp("gateway"), Authority("many"), ["*.apps.example.com"])
        gateway.write(gateway.configure(model(hosts=hosts, everywhere={"mesh_dns_check": "warn"})))
        stack.enter_context(gateway.running())
        yield World(gateway, programs)


@pytest.mark.parametrize("number", [0, 1, 119, 120, 121, LIMITED, 1199, 1200, MANY - 2, MANY - 1])
def test_each_name_of_very_many_leads_to_its_own_program(here: World, number: int) -> None:
    assert here.who_was_asked(name_of(number)) == [number % 2]


def test_a_name_in_capitals_leads_to_its_own_program_too(here: World) -> None:
    assert here.who_was_asked(name_of(301).upper()) == [1]


def test_what_one_of_very_many_services_limits_the_others_do_not(here: World) -> None:
    body = bytes(2000)
    assert here.gateway.ask(name_of(LIMITED), method="POST", body=body).status == 413
    assert here.gateway.ask(name_of(LIMITED + 1), method="POST", body=body).seen["body"] == len(body)


def test_a_name_that_no_service_has_is_not_found_among_very_many(here: World) -> None:
    assert here.gateway.ask("none.apps.example.com").status == 404
