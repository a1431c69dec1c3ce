# SPDX-License-Identifier: MIT
"""A whole run that changes nothing asks little of a host: calls and bytes as the hosts count them, see wire.py.

The run begins with nothing: no open connection, and no knowledge of where a host has its Python. The proof is in it.
"""

from __future__ import annotations

import json
import re
import typing as t

import pytest
from wire import Wire, new_connections

if t.TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wire import Traffic
    from world import Fleet, Play

# Nodes that are nothing else. What a run does once is told of the first host, which is none of them.
ONLY_NODES = ("laptop", "mini-2", "nas")
# One look at what the host is and its part of the proof, with no search for Python before them. The coordinator has no
# part in the proof, and a stranger is not looked at. (Promised: 3 for a node, 4 for a gateway, 5 for the coordinator.)
CALLS = {"edge": 2, "hub": 1, "laptop": 2, "mini-1": 2, "mini-2": 2, "nas": 2, "stranger": 1}
BYTES = 100_000


@pytest.fixture(scope="module")
def second(demo: Fleet, tmp_path_factory: pytest.TempPathFactory) -> tuple[Play, Mapping[str, Traffic]]:
    """A second site.yml, and what each host has seen of it."""
    place: Path = tmp_path_factory.mktemp("wire")
    # In the inventory, since a variable of the command line would be for the controller too.
    search = place / "search.yml"
    search.write_text(json.dumps({"all": {"vars": {"ansible_python_interpreter": "auto_silent"}}}), encoding="utf-8")
    wire = Wire(demo.inventory.parents[1].name, list(CALLS))
    with new_connections() as connections, wire.counting():
        wire.reset()
        own = {"mesh_result_file": str(place / "result.json"), **connections}
        play = demo.play("site.yml", "--inventory", str(search), variables=own)
        seen = wire.read()
    assert (play.status, set(play.changed.values())) == (0, {0})
    for host, each in seen.items():
        print(host, each)
    return play, seen


@pytest.fixture(scope="module")
def traffic(second: tuple[Play, Mapping[str, Traffic]]) -> Mapping[str, Traffic]:
    return second[1]


@pytest.mark.parametrize("host", CALLS)
def test_a_run_that_changes_nothing_comes_to_a_host_by_one_connection(
    traffic: Mapping[str, Traffic], host: str
) -> None:
    assert traffic[host].connections == 1


@pytest.mark.parametrize("host", CALLS)
def test_a_run_that_changes_nothing_makes_few_calls(traffic: Mapping[str, Traffic], host: str) -> None:
    assert traffic[host].calls == CALLS[host]


@pytest.mark.parametrize("host", CALLS)
def test_a_run_that_changes_nothing_sends_little(traffic: Mapping[str, Traffic], host: str) -> None:
    assert 0 < traffic[host].bytes <= BYTES


@pytest.mark.parametrize("host", CALLS)
def test_a_run_that_changes_nothing_uploads_no_file(traffic: Mapping[str, Traffic], host: str) -> None:
    assert traffic[host].uploads == 0


@pytest.mark.parametrize("host", ONLY_NODES)
def test_a_run_that_changes_nothing_skips_no_task_on_a_node(
    second: tuple[Play, Mapping[str, Traffic]], host: str
) -> None:
    """A task that is skipped costs the controller a process, as any other."""
    assert re.findall(rf"^{host} +:.* skipped=(\d+) ", second[0].output, re.MULTILINE) == ["0"]
