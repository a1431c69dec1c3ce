# SPDX-License-Identifier: MIT
"""A service outlives one of its nodes."""

from __future__ import annotations

import concurrent.futures
import contextlib
import time
import typing as t

from world import run

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from testinfra.host import Host
    from world import Fleet

URL = "https://hello.wm.test/"
FIRST, SECOND = "mini-1", "nas"  # the replicas, in the order in which a gateway prefers them
FAILOVER_SECONDS = 5
RETURN_SECONDS = 15  # a node that comes back has to pass health checks first
# Every 100 ms for $0 seconds, a line each: when it was asked for (seconds), and the page in one line.
POLL = r"""
end=$((SECONDS + $0))
while [ $SECONDS -lt $end ]; do
  asked=$EPOCHREALTIME
  (echo "$asked $(curl --silent --max-time 2 "$1" | tr "\n" " ")") &
  sleep 0.1
done
wait
"""

# A page of some node at some second of the clock that all hosts of a fleet share with the controller.
Seen = tuple[float, str]


@contextlib.contextmanager
def stopped(host: Host, unit: str) -> Iterator[float]:
    """A unit is stopped meanwhile; the second at which it was asked to stop."""
    asked = time.time()
    assert run(host, f"timeout 20 systemctl stop {unit}").rc == 0
    try:
        yield asked
    finally:
        run(host, f"timeout 20 systemctl start {unit}")


def poll(stranger: Host, seconds: int) -> list[Seen]:
    """The pages that a stranger sees, in the order in which they were asked for."""
    lines = run(stranger, f"timeout {seconds + 5} bash -c '{POLL}' {seconds} {URL}").stdout.splitlines()
    pages = [line.partition(" ") for line in lines]
    return sorted((float(asked), page) for asked, _, page in pages)


def seconds_until(seen: list[Seen], node: str, since: float) -> float:
    """From then until the first page of this node that was asked for later; infinity if there is none."""
    return min(
        (asked - since for asked, page in seen if asked > since and f"served by {node}" in page), default=float("inf")
    )


def test_the_other_node_takes_over_within_five_seconds(demo: Fleet) -> None:
    with concurrent.futures.ThreadPoolExecutor() as pool:
        pages = pool.submit(poll, demo.host("stranger"), FAILOVER_SECONDS + 4)
        time.sleep(2)
        with stopped(demo.host(FIRST), "page.service") as since:
            seen = pages.result()
    assert seconds_until(seen, SECOND, since) <= FAILOVER_SECONDS


def test_the_first_node_gets_its_traffic_back(demo: Fleet) -> None:
    with stopped(demo.host(FIRST), "page.service"):
        time.sleep(FAILOVER_SECONDS)
    since = time.time()
    assert seconds_until(poll(demo.host("stranger"), RETURN_SECONDS), FIRST, since) <= RETURN_SECONDS
