# SPDX-License-Identifier: MIT
"""One mesh provisioned by two workers, each on a host in a home that the other one does not reach."""

from __future__ import annotations

import re
import subprocess
import sys
import typing as t

import jsonschema
import pytest
from worker_hosts import Workers
from world import PLAY_SECONDS, ROOT, read_json

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from world import Fleet

NAMES = ("box-1", "box-2")
AT_WORK = re.compile(r"^ *[\d.]+ s  \[(\S+)\]   (\S+): .* \.\.\.$", re.MULTILINE)  # worker, host


class Run(t.NamedTuple):
    """Its exit status, what it said, and its proof."""

    status: int
    output: str
    result: dict[str, t.Any]


@pytest.fixture(scope="module")
def distributed(one_vps: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    work = tmp_path_factory.mktemp("distributed")
    workers = Workers(one_vps, work)
    workers.prepare(*NAMES)
    options = [word for name in NAMES for word in ("--worker", f"{name}={workers.command(name)}")]
    result = work / "result.json"
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "examples/distributed.py"),
            str(workers.data_dir()),
            *options,
            "--result",
            str(result),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PLAY_SECONDS,
        check=False,
    )
    print(done.stdout)
    yield Run(done.returncode, done.stdout, read_json(result) if result.exists() else {})
    workers.restore(*NAMES)
    # The workers had programs from files, of which nobody knows what is built into them: less is configured for these.
    assert one_vps.play("site.yml", "--skip-tags", "verify").status == 0


def test_it_ends_well(distributed: Run) -> None:
    assert (distributed.status, distributed.output.splitlines()[-1]) == (0, "status: kept")


def test_each_worker_works_on_its_own_hosts(distributed: Run) -> None:
    assert set(AT_WORK.findall(distributed.output)) == {
        ("box-1", "vps"),
        ("box-1", "stranger"),
        ("box-1", "box-1"),
        ("box-2", "box-2"),
    }


def test_their_results_are_one_and_whole(distributed: Run) -> None:
    """Also what neither could judge: whether a host of the one refuses a host of the other."""
    result = distributed.result
    jsonschema.validate(result, read_json(ROOT / "docs/result.schema.json"))
    assert result["not_measured"] == []
    measured = [entry["ok"] for kind in ("paths", "services", "refusals", "grants", "ports") for entry in result[kind]]
    assert (len(result["paths"]), set(measured)) == (6, {True})
