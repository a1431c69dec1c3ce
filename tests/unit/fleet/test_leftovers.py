# SPDX-License-Identifier: MIT
"""What a killed run may leave: cache entries, mounts, a lock, a state without its record."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fleet import FleetError, cache, cgroups, leftovers, state

MOUNTINFO = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
90 27 0:80 / /var/lib/wonder-mesh/wm111111/hosts/a/root rw - overlay wm111111-a rw,lowerdir=/t
91 27 0:81 / /elsewhere/with\\040space rw shared:4 - overlay wm111111-b rw,lowerdir=/t
92 27 0:82 / /var/lib/wonder-mesh/wm222222/hosts/a/root rw - overlay wm222222-a rw,lowerdir=/t
"""


def test_mounts_are_found_by_prefix_wherever_they_are() -> None:
    assert leftovers.mounts("wm111111", MOUNTINFO) == [
        ("wm111111-b", "/elsewhere/with space"),
        ("wm111111-a", "/var/lib/wonder-mesh/wm111111/hosts/a/root"),
    ]


def test_a_cache_entry_appears_only_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def broken(partial: Path) -> None:
        (partial / "half").touch()
        raise FleetError("interrupted")

    with pytest.raises(FleetError):
        cache.entry("thing", broken)
    assert not (cache.root() / "thing").exists()
    entry = cache.entry("thing", lambda partial: (partial / "whole").touch())
    assert [path.name for path in entry.iterdir()] == ["whole"]
    assert [path.name for path in cache.root().iterdir()] == ["thing"]


def test_a_cache_entry_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = cache.entry("thing", lambda partial: (partial / "first").touch())
    assert cache.entry("thing", lambda partial: (partial / "second").touch()) == first
    assert (first / "first").exists()


HOLDER = """
import sys
from pathlib import Path
from fleet import state
state.ROOT = Path(sys.argv[1])
with state.locked(state.State("wm111111", state.ROOT)):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    own = state.State("wm111111", tmp_path)
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=state.CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with pytest.raises(FleetError, match=rf"process {first.pid}\)"), state.locked(own):
            pass
        first.kill()
    with state.locked(own):
        assert own.lock.exists()


def test_a_lock_whose_file_went_with_the_fleet_is_taken_again(tmp_path: Path) -> None:
    own = state.State("wm111111", tmp_path)
    with state.locked(own):
        own.remove()
    with state.locked(own):
        assert own.lock.exists()


def test_the_prefix_tells_topologies_apart_and_stays_the_same() -> None:
    assert state.prefix_of("demo") == state.prefix_of("demo") != state.prefix_of("one-vps")


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["cgroup.procs", "cgroup.controllers"], ["."]),
        (["unified/cgroup.procs", "systemd/cgroup.procs"], ["unified", "systemd"]),
    ],
)
def test_both_layouts_of_control_groups_are_known(tmp_path: Path, files: list[str], names: list[str]) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    assert cgroups.hierarchies(tmp_path) == [tmp_path / name for name in names]


def test_a_machine_without_cgroup_2_is_told(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="no cgroup 2 hierarchy"):
        cgroups.hierarchies(tmp_path)
