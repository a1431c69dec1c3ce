# SPDX-License-Identifier: MIT
"""What is removed is gone, and the host is what it was: compared, record by record, with the same host made anew.

The tests go the whole way with one fleet: one node is removed, then all of the mesh, which comes back from its data. A
host is switched off, removed and forgotten, and then all of the mesh is removed for good. That leaves bare hosts, so
these tests come last (conftest.py), and a fleet that was there before is provisioned again at their end.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import re
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
import yaml
from world import ROOT, run

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from world import Fleet, Play

    State = dict[str, dict[str, str]]

REMOVE = "playbooks/remove.yml"
HOSTS = ["box-1", "box-2", "vps"]
UNREACHABLE = 4  # what ansible-playbook exits with
WITH_DATA = {"mesh_remove_data": True}
RECORD = Path(__file__).with_name("record.py")

# What may differ between a host from which everything was removed and the same host made anew, and why.
ALLOWED = {
    "files": {
        r"/var/log/.*": "logs and journals tell what happened",
        r"/etc/(passwd|group|shadow|gshadow)-": "the copies that useradd and userdel make before they change the file",
        r".*/\.ansible(/.*)?": "Ansible's own place for temporary files, and no module's business",
        r"/etc/ssh/ssh_host_ed25519_key(\.pub)?": "the fleet makes the host's key anew",
        r".*/\.ssh/authorized_keys": "the fleet makes the key to log in with anew",
        r"/usr/local/share/ca-certificates/fleet\.crt": "the fleet makes its authority anew",
        r"/etc/ssl/certs/ca-certificates\.crt": "the fleet makes its authority anew",
    },
    "sysctls": {
        r"kernel/ns_last_pid": "a counter",
    },
}


@dataclasses.dataclass(frozen=True)
class Way:
    """What happened on the way: the plays, and what Headscale and the hosts said in between."""

    one_left: Play
    after_one_left: dict[str, dict[str, t.Any]]
    all_left: Play
    before: dict[str, dict[str, t.Any]]
    after: dict[str, dict[str, t.Any]]
    off_left: Play
    after_off_left: dict[str, dict[str, t.Any]]
    forgotten: Play
    after_forgotten: dict[str, dict[str, t.Any]]
    forgotten_again: Play
    gone: dict[str, State]
    fresh: dict[str, State]
    removed_from_nothing: Play


@pytest.fixture(scope="module")
def way(one_vps: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    """Go the whole way once."""
    own = {"mesh_result_file": str(tmp_path_factory.mktemp("removal") / "result.json")}
    one_vps.result_file.unlink()  # if this is interrupted, whoever uses the fleet next must bring it up first
    before = nodes(one_vps)
    one_left = one_vps.play(REMOVE, "--limit", "box-2")
    after_one_left = nodes(one_vps)
    all_left = one_vps.play(REMOVE)
    assert one_vps.play("site.yml", variables=own).status == 0
    after = nodes(one_vps)
    switch_off(one_vps, "box-2")
    off_left = one_vps.play(REMOVE, "--limit", "box-2")
    after_off_left = nodes(one_vps)
    without = inventory_without(one_vps, "box-2", tmp_path_factory.mktemp("without") / "hosts.yml")
    forgotten = forget(one_vps, "box-2", without)
    after_forgotten = nodes(one_vps)
    forgotten_again = forget(one_vps, "box-2", without)
    call_fleet(one_vps, "up")  # starts what is off
    assert one_vps.play(REMOVE, variables=WITH_DATA).status == 0
    gone = record(one_vps)
    make_anew(one_vps)
    fresh = record(one_vps)
    removed_from_nothing = one_vps.play(REMOVE, variables=WITH_DATA)
    off = (off_left, after_off_left, forgotten, after_forgotten, forgotten_again)
    yield Way(one_left, after_one_left, all_left, before, after, *off, gone, fresh, removed_from_nothing)
    if not one_vps.ours:
        one_vps.up()


def nodes(fleet: Fleet) -> dict[str, dict[str, t.Any]]:
    """The nodes that Headscale has, by name: who they are, and whether they are logged out."""
    listed = json.loads(run(fleet.host("vps"), "timeout 20 headscale nodes list --output json").stdout)
    identity = ("id", "machine_key", "node_key", "ip_addresses", "tags")
    return {
        each["given_name"]: {key: each[key] for key in identity} | {"logged out": "expiry" in each} for each in listed
    }


def record(fleet: Fleet) -> dict[str, State]:
    """The state of every host that was provisioned."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return dict(zip(HOSTS, pool.map(lambda name: record_of(fleet, name), HOSTS), strict=True))


def record_of(fleet: Fleet, name: str) -> State:
    variables = fleet.variables
    command = ["ssh", *variables["ansible_ssh_common_args"].split(), name, "sudo python3 -I -"]
    with RECORD.open("rb") as program:
        said = subprocess.run(command, check=True, stdin=program, stdout=subprocess.PIPE, timeout=60).stdout
    return t.cast("State", json.loads(said)) | {"nftables": nftables(fleet, name)}


def nftables(fleet: Fleet, name: str) -> dict[str, str]:
    """The rules of a host. It has no nft command, so this machine's is run in the host's network."""
    namespace = f"{fleet.inventory.parents[1].name}-{name}"
    command = ["ip", "netns", "exec", namespace, "nft", "--stateless", "list", "ruleset"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout
    return {f"{number}: {line}": "" for number, line in enumerate(listed.splitlines())}


def make_anew(fleet: Fleet) -> None:
    """Make the same hosts again, with nothing on them."""
    call_fleet(fleet, "down")
    call_fleet(fleet, "up")


def call_fleet(fleet: Fleet, verb: str) -> str:
    """What it prints."""
    command = [sys.executable, "-m", "fleet", verb, "--topology", fleet.topology]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 0 or verb == "status"  # which fails while a host is off
    return done.stdout


def switch_off(fleet: Fleet, name: str) -> None:
    run(fleet.host(name), "setsid sh -c 'sleep 0.2; systemctl poweroff' >/dev/null 2>&1 &")
    deadline = time.monotonic() + 30
    while not re.search(rf"^{name} +stopped$", call_fleet(fleet, "status"), re.MULTILINE):
        assert time.monotonic() < deadline, f"{name} does not switch off"
        time.sleep(0.2)


def inventory_without(fleet: Fleet, name: str, file: Path) -> Path:
    inventory = yaml.safe_load(fleet.inventory.read_text(encoding="utf-8"))
    del inventory["all"]["hosts"][name], inventory["all"]["children"]["nodes"]["hosts"][name]
    file.write_text(yaml.safe_dump(inventory), encoding="utf-8")
    return file


def forget(fleet: Fleet, name: str, inventory: Path) -> Play:
    """A run for the coordinator alone, which is told to delete a node that the inventory no longer has."""
    wanted = {"headscale_removed_nodes": [name]}
    return fleet.play("site.yml", "--limit", "vps", "--tags", "headscale", variables=wanted, inventory=inventory)


def differences(found: State, expected: State) -> list[str]:
    """What is not as it was, without what may differ."""
    lines = []
    for what, states in expected.items():
        allowed = re.compile("|".join(ALLOWED.get(what, {})) or r"(?!)")
        for name in sorted({*states, *found[what]}):
            if found[what].get(name) != states.get(name) and not allowed.fullmatch(name):
                lines.append(f"{what}: {name}: was {states.get(name)!r}, is {found[what].get(name)!r}")
    return lines


def test_a_removal_with_a_limit_takes_that_node_out_and_no_other(way: Way) -> None:
    logged_out = {name for name, node in way.after_one_left.items() if node["logged out"]}
    assert (way.one_left.status, logged_out, set(way.after_one_left)) == (0, {"box-2"}, set(HOSTS))


def test_a_removal_changes_no_host_outside_its_limit(way: Way) -> None:
    assert set(way.one_left.changed) == {"box-2"}


def test_a_second_removal_changes_nothing(way: Way) -> None:
    assert (way.all_left.status, way.all_left.changed["box-2"]) == (0, 0)


def test_the_mesh_comes_back_from_the_data_that_were_kept_with_the_same_nodes(way: Way) -> None:
    assert way.after == way.before


def test_a_node_whose_host_is_switched_off_is_taken_out_all_the_same(way: Way) -> None:
    logged_out = {name for name, node in way.after_off_left.items() if node["logged out"]}
    assert (logged_out, set(way.after_off_left)) == ({"box-2"}, set(HOSTS))


def test_a_removal_says_which_host_it_could_not_reach(way: Way) -> None:
    assert way.off_left.status == UNREACHABLE
    assert re.search(r"^box-2 .* unreachable=1 ", way.off_left.output, re.MULTILINE)


def test_a_node_that_the_inventory_no_longer_has_is_deleted_when_it_is_named(way: Way) -> None:
    assert (way.forgotten.status, way.forgotten.changed) == (0, {"vps": 2})  # the policy knew it too
    assert set(way.after_forgotten) == set(HOSTS) - {"box-2"}


def test_deleting_a_node_that_is_gone_changes_nothing(way: Way) -> None:
    assert (way.forgotten_again.status, way.forgotten_again.changed) == (0, {"vps": 0})


@pytest.mark.parametrize("name", HOSTS)
def test_a_host_without_the_mesh_is_what_it_was(way: Way, name: str) -> None:
    assert differences(way.gone[name], way.fresh[name]) == []


def test_removing_from_hosts_that_have_nothing_changes_nothing(way: Way) -> None:
    assert (way.removed_from_nothing.status, set(way.removed_from_nothing.changed.values())) == (0, {0})
