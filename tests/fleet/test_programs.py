# SPDX-License-Identifier: MIT
"""A program from somewhere else than a build is refused on the controller, before any host is touched."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from pathlib import Path

    from world import Fleet

RUNS = ("playbooks/check.yml", "playbooks/coordinator.yml")


def test_a_file_with_another_hash_ends_the_run_before_it_reaches_a_host(demo: Fleet, tmp_path: Path) -> None:
    (tmp_path / "headscale").write_bytes(b"\x7fELF and more")
    source = {"amd64": {"headscale": {"file": str(tmp_path / "headscale"), "sha256": 64 * "0"}}}
    play = demo.play(*RUNS, variables={"headscale_program_source": source})
    assert "headscale_program_source.amd64.headscale.sha256: found" in play.output
    assert (play.status, set(play.changed.values())) == (2, {0})


def test_a_url_that_gives_nothing_changes_nothing(demo: Fleet) -> None:
    source = {"amd64": {"headscale": {"url": "https://127.0.0.1:9/headscale", "sha256": 64 * "0"}}}
    play = demo.play(*RUNS, variables={"headscale_program_source": source})
    assert "https://127.0.0.1:9/headscale cannot be had" in " ".join(play.output.split())
    assert (play.status, set(play.changed.values())) == (2, {0})
