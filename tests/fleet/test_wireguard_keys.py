# SPDX-License-Identifier: MIT
"""A mesh on plain WireGuard: machines that Ansible does not manage, new keys for all nodes, and the way back."""

from __future__ import annotations

import itertools
import json
import re
import typing as t

import pytest
import yaml
from client import imported
from test_wireguard import NODES, PROBE_PORT, mesh
from world import run

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from world import Fleet

__all__ = ["mesh"]  # a fixture

SILENT_AT_MOST = 5  # seconds
PING_EVERY = 0.2
KEY = "/etc/wonder-mesh/wireguard/wm0.key"
PING_SECONDS = 60
CLIENTS = [{"name": "phone", "owner": "alice@"}, {"name": "tablet"}]


def keys(mesh: Fleet) -> dict[str, str]:
    """The public keys that the registry has."""
    nodes = json.loads((mesh.inventory.parent / "wireguard-registry.json").read_text(encoding="utf-8"))["nodes"]
    return {name: entries[0]["public_key"] for name, entries in nodes.items()}


@pytest.fixture(scope="module")
def configurations(mesh: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """Of a phone and a tablet, by name, and of the first of them what the run printed."""
    directory: Path = tmp_path_factory.mktemp("clients")
    data = yaml.safe_load(mesh.inventory.read_text(encoding="utf-8"))
    data["all"]["vars"] |= {
        "wireguard_clients": CLIENTS,
        "wireguard_clients_directory": str(directory),
        "mesh_admins": ["laptop", "alice@"],
    }
    inventory = mesh.inventory.with_name("clients.yml")
    inventory.write_text(yaml.safe_dump(data), encoding="utf-8")
    play = mesh.play("playbooks/wireguard_clients.yml", "--diff", "-v", inventory=inventory)
    assert play.status == 0
    yield {
        **{each["name"]: (directory / f"{each['name']}.conf").read_text(encoding="utf-8") for each in CLIENTS},
        "printed": play.output,
        "modes": " ".join(sorted(f"{path.name} {path.stat().st_mode & 0o777:o}" for path in directory.iterdir())),
    }
    inventory.unlink()
    assert mesh.play("site.yml", "--skip-tags", "verify").status == 0  # without them


@pytest.fixture(scope="module")
def names(mesh: Fleet) -> Mapping[str, str]:
    """The addresses of public names, which the fleet has no DNS for."""
    lines = run(mesh.host("stranger"), "cat /etc/hosts").stdout.splitlines()
    return {name: line.split()[0] for line in lines for name in line.split()[1:]}


def reached(
    mesh: Fleet, configuration: str, names: Mapping[str, str], directory: Path, node: str, ports: list[int]
) -> list[bool]:
    machine = f"{mesh.inventory.parents[1].name}-stranger"
    with imported(configuration, machine, directory, names) as client:
        return [client.connects(mesh.address(node), port) for port in ports]


@pytest.mark.parametrize(("client", "ssh"), [("phone", True), ("tablet", False)])
def test_a_client_reaches_what_its_owner_may(
    mesh: Fleet, configurations: Mapping[str, str], names: Mapping[str, str], tmp_path: Path, client: str, ssh: bool
) -> None:
    found = reached(mesh, configurations[client], names, tmp_path, "nas", [PROBE_PORT, 22, 8000])
    assert found == [True, ssh, False]


def test_a_client_s_files_are_for_their_owner_alone(configurations: Mapping[str, str]) -> None:
    files = [f"{name}.{ending} 600" for name in ("phone", "tablet") for ending in ("conf", "png", "txt")]
    assert configurations["modes"] == " ".join(files)


def test_no_run_prints_a_client_s_secrets(configurations: Mapping[str, str]) -> None:
    secrets = re.findall(r"^(?:PrivateKey|PresharedKey) = (\S+)$", configurations["phone"], re.MULTILINE)
    assert len(secrets) > 1
    assert [each for each in secrets if each in configurations["printed"]] == []


def test_new_keys_for_all_nodes_leave_no_pair_silent_for_long(mesh: Fleet, own_result: dict[str, str]) -> None:
    before = keys(mesh)
    for source in NODES:
        pings = [
            f"timeout {PING_SECONDS} ping -n -D -i {PING_EVERY} {mesh.address(target)} >/tmp/ping.{target} 2>&1"
            for target in NODES if target != source
        ]  # fmt: skip
        run(mesh.host(source), f"systemd-run --quiet --collect --unit=pings bash -c '{' & '.join(pings)} & wait'")
    play = mesh.play("playbooks/rotate.yml", variables=own_result)
    assert play.status == 0
    for source in NODES:
        run(mesh.host(source), "while systemctl is-active --quiet pings; do sleep 0.5; done")
    after = keys(mesh)
    assert [name for name in NODES if after[name] == before[name]] == []
    silences = {pair: silence(mesh, *pair) for pair in itertools.permutations(NODES, 2)}
    assert {pair: found for pair, found in silences.items() if found > SILENT_AT_MOST} == {}


def test_new_keys_for_some_nodes_are_refused(mesh: Fleet, own_result: dict[str, str]) -> None:
    before = keys(mesh)
    play = mesh.play("playbooks/rotate.yml", "--limit", "nas", variables=own_result)
    assert (play.status, keys(mesh)) == (2, before)
    assert "edge, hub, laptop, mini-1, mini-2, van would keep the old keys of the others" in " ".join(
        play.output.split()
    )


def silence(mesh: Fleet, source: str, target: str) -> float:
    """The longest time between two answers, in seconds."""
    said = mesh.host(source).run(f"cat /tmp/ping.{target}").stdout
    times = [float(found) for found in re.findall(r"^\[([\d.]+)\] \d+ bytes from", said, re.MULTILINE)]
    assert len(times) > PING_SECONDS / PING_EVERY / 2
    return max(later - earlier for earlier, later in itertools.pairwise(times))


@pytest.fixture
def van_is_a_copy_of_nas(mesh: Fleet) -> Iterator[None]:
    """As if its disk had been made from the other's image."""
    image = run(mesh.host("nas"), f"base64 -w0 {KEY}").stdout
    kept = run(mesh.host("van"), f"base64 -w0 {KEY}").stdout
    assert run(mesh.host("van"), f"echo {image} | base64 -d >{KEY}").rc == 0
    yield
    assert run(mesh.host("van"), f"echo {kept} | base64 -d >{KEY}").rc == 0


@pytest.mark.usefixtures("van_is_a_copy_of_nas")
def test_a_machine_with_the_key_of_another_is_refused_before_anything_is_changed(
    mesh: Fleet, own_result: dict[str, str]
) -> None:
    before = keys(mesh)
    play = mesh.play("site.yml", variables=own_result)
    said = " ".join(play.output.split())
    assert (play.status, set(play.changed.values()), keys(mesh)) == (2, {0}, before)
    assert "van: public key:" in said
    assert "nas has the same key, as if one were made from the other's image" in said


def test_a_removed_mesh_leaves_nothing_but_the_key_and_comes_back_with_it(
    mesh: Fleet, own_result: dict[str, str]
) -> None:
    before = keys(mesh)
    assert mesh.play("playbooks/remove.yml").status == 0
    left = run(mesh.host("hub"), "ip -br link show wm0; nft list ruleset; grep mesh.wm.test /etc/hosts").stdout
    assert left == ""
    assert run(mesh.host("hub"), "sysctl -n net.ipv4.ip_forward").stdout.strip() == "0"
    play = mesh.play("site.yml", variables=own_result)
    assert (play.status, keys(mesh)) == (0, before)


def test_a_mesh_removed_with_its_data_leaves_no_key(mesh: Fleet, own_result: dict[str, str]) -> None:
    assert mesh.play("playbooks/remove.yml", variables={"mesh_remove_data": True}).status == 0
    assert run(mesh.host("nas"), "find / -xdev -path '*wonder-mesh*'").stdout == ""
    assert mesh.play("site.yml").status == 0
