# SPDX-License-Identifier: MIT
"""What the configuration that we make costs a real Caddy: ten thousand routes, and a request beside the least there is.

All is counted by CPU time, which a busy machine stretches little: a load that takes less of it than two seconds takes
less by the clock too. Of requests it is that of Caddy alone, since whoever asks and answers takes more of it, and
without what it takes while nobody asks, which is nothing beside as many requests as it can serve.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import http.client
import resource
import time
import typing as t

import pytest

from fleet.authority import Authority
from tests.bench.conftest import PAIRS
from tests.bench.ratios import Ratio
from tests.programs.gateway import HEALTH, Asked, Gateway, Program
from tests.unit.plugins.plugin_utils.mesh_world import model

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model

    Figure = Callable[[object], None]

MANY, FEW = 10_000, 10
PORTS = 20_000  # and above, where nothing listens
REQUESTS, FIRST = 500, 50  # measured, and before them
IDLE = 10.0  # seconds; nothing in Caddy comes round more seldom
TURNS = 3 * PAIRS  # of two Caddies that are compared: many short ones, so that both see the same machine
LOAD_SECONDS, LOOKUP, RATE = 2.0, 1.2, 0.95
CADDYFILE = """\
{{
	admin off
	auto_https disable_redirects
}}
https://{name}:{port} {{
	tls {place}/1.crt {place}/1.key
	reverse_proxy 127.0.0.1:{program}
}}
"""


def name_of(number: int) -> str:
    return f"s{number:05}.apps.example.com"


def mesh_of(count: int, port: int) -> Model:
    """One node with so many services, each by a program of its own. Of the first and the last it is there."""
    services = [
        {
            "name": f"s{number}",
            "host": name_of(number),
            "port": port if number < FEW or number == count - 1 else PORTS + number,
            "health": HEALTH,
        }
        for number in range(count)
    ]
    hosts = {"nas": {"mesh_services": services}, "mini-1": {"mesh_services": None}, "mini-2": {"mesh_services": None}}
    return model(hosts=hosts, everywhere={"mesh_dns_check": "warn"})


@dataclasses.dataclass(frozen=True)
class Running:
    """A gateway that runs, and the process that it is."""

    gateway: Gateway
    pid: int

    @functools.cached_property
    def idle(self) -> float:
        """CPU time in a second in which nobody asks: health checks and the like."""
        before = self._used()
        time.sleep(IDLE)
        return (self._used() - before) / IDLE

    def loading(self) -> float:
        """Seconds of CPU time for a reload, of Caddy and of the command that tells it."""
        before = self._used() + of_children()
        assert self.gateway.reload().returncode == 0
        return self._used() + of_children() - before

    def cost(self, name: str) -> float:
        """Seconds of CPU time for a request, on a connection that is kept."""
        connection = http.client.HTTPConnection(name, timeout=60)
        connection.sock = self.gateway.connect(name)
        with contextlib.closing(connection):
            ask(connection, FIRST)
            before, began = self._used(), time.monotonic()
            ask(connection, REQUESTS)
            return (self._used() - before - self.idle * (time.monotonic() - began)) / REQUESTS

    def _used(self) -> float:
        clock = (~self.pid << 3) | 2  # that of a process, see clock_getcpuclockid(3)
        return time.clock_gettime(clock)


def of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ask(connection: http.client.HTTPConnection, times: int) -> None:
    for _ in range(times):
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == http.client.OK


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with Program(Asked) as each:
        yield each


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """Call ``start(config)``, or with a Caddyfile that is formatted with its place."""
    with contextlib.ExitStack() as stack:

        def begin(configure: Callable[[Gateway], object]) -> Running:
            gateway = Gateway(tmp_path_factory.mktemp("gateway"), Authority("bench"), ["*.apps.example.com"])
            text = configure(gateway)
            if isinstance(text, str):
                gateway.config = gateway.place / "Caddyfile"
                gateway.config.write_text(text, encoding="utf-8")
            else:
                gateway.write(text)
            return Running(gateway, stack.enter_context(gateway.running()).pid)

        yield begin


@pytest.fixture(scope="module")
def few(start: Callable[..., Running], program: Program) -> Running:
    return start(lambda gateway: gateway.configure(mesh_of(FEW, program.port)))


@pytest.fixture(scope="module")
def many(start: Callable[..., Running], program: Program) -> Running:
    return start(lambda gateway: gateway.configure(mesh_of(MANY, program.port)))


def test_ten_thousand_routes_are_loaded_in_two_seconds(many: Running, figure: Figure) -> None:
    seconds = [many.loading() for _ in range(PAIRS)]
    found = Ratio("routes_load_seconds", seconds, "load")
    figure(found)
    assert found.interval[0] <= LOAD_SECONDS


def test_the_last_of_ten_thousand_routes_is_found_like_the_last_of_ten(
    few: Running, many: Running, figure: Figure
) -> None:
    pairs = [(few.cost(name_of(FEW - 1)), many.cost(name_of(MANY - 1))) for _ in range(TURNS)]
    found = Ratio("routes_lookup_ratio", [more / less for less, more in pairs])
    figure(found)
    assert found.interval[0] <= LOOKUP


def test_as_many_requests_are_served_as_with_a_minimal_caddyfile(
    few: Running, start: Callable[..., Running], program: Program, figure: Figure
) -> None:
    name = name_of(0)
    least = start(
        lambda gateway: CADDYFILE.format(name=name, port=gateway.port, place=gateway.place, program=program.port)
    )
    pairs = [(least.cost(name), few.cost(name)) for _ in range(TURNS)]
    found = Ratio("gateway_rps_ratio", [theirs / ours for theirs, ours in pairs])
    figure(found)
    assert found.interval[1] >= RATE
