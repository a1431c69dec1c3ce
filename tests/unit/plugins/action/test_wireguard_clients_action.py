# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils import _wireguard_client as client
from tests.unit.plugins.action.playbook import First, inventory, play, saved, saving
from tests.unit.plugins.action.test_wireguard_registry_action import EVERYWHERE, LEARN, look
from tests.unit.plugins.plugin_utils.wireguard_world import HOSTS, HUBS, model

if t.TYPE_CHECKING:
    from subprocess import CompletedProcess

MAKE: dict[str, t.Any] = {
    "name": "Make",
    "wonder.mesh.wireguard_clients": {"directory": "{{ playbook_dir }}/clients"},
    "register": "made",
    "run_once": True,
}
SAVE = saving("{{ made }}")
CLIENTS = [{"name": "phone", "owner": "alice@"}, {"name": "tablet"}]


def run(tmp_path: Path, *arguments: str, clients: t.Any = CLIENTS) -> CompletedProcess[str]:
    hosts = {name: {**each, "__look": look(name)} for name, each in HOSTS.items()}
    groups = {"nodes": list(HOSTS), "gateways": HUBS, "coordinator": [], "relays": [], "strangers": []}
    everywhere = {**EVERYWHERE, "wireguard_clients": clients}
    return play(tmp_path, inventory(hosts, groups, everywhere), [LEARN, MAKE, SAVE], "--diff", "-vvv", *arguments)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> First:
    directory = tmp_path_factory.mktemp("first")
    return First(directory, run(directory))


@pytest.fixture
def made(tmp_path: Path, first: First) -> Path:
    return first.copy(tmp_path)


def test_each_client_gets_its_files_and_the_run_prints_no_secret(first: First) -> None:
    directory, done = first
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    files = {path.name: path.stat().st_mode & 0o777 for path in (directory / "clients").iterdir()}
    assert files == {f"{name}.{ending}": 0o600 for name in ("phone", "tablet") for ending in ("conf", "png", "txt")}
    assert (directory / "clients").stat().st_mode & 0o777 == 0o700
    text = (directory / "clients" / "phone.conf").read_text()
    secrets = re.findall(r"^(?:PrivateKey|PresharedKey) = (\S+)$", text, re.MULTILINE)
    said = done.stdout + done.stderr + (directory / "out.json").read_text()
    assert len(secrets) == 1 + text.count("[Peer]")
    assert [each for each in secrets if each in said] == []


def test_the_registry_learns_a_client_s_public_key(made: Path) -> None:
    private = client.key_in((made / "clients" / "phone.conf").read_text())
    assert private is not None
    assert client.public_key(private) in (made / "wireguard-registry.json").read_text()


def test_a_second_run_keeps_keys_and_bytes(made: Path) -> None:
    before = {path: path.read_bytes() for path in (made / "clients").iterdir()}
    run(made)
    assert saved(made / "out.json")["changed"] is False
    assert {path: path.read_bytes() for path in (made / "clients").iterdir()} == before


def test_a_check_foretells_and_writes_nothing(tmp_path: Path) -> None:
    run(tmp_path, clients=[])
    registry = (tmp_path / "wireguard-registry.json").read_bytes()
    done = run(tmp_path, "--check")
    assert (done.returncode, saved(tmp_path / "out.json")["changed"]) == (0, True)
    assert not (tmp_path / "clients").exists()
    assert (tmp_path / "wireguard-registry.json").read_bytes() == registry


def test_a_configuration_without_its_key_is_kept_and_named(made: Path) -> None:
    path = made / "clients" / "phone.conf"
    path.write_text("[Interface]\n")
    done = run(made)
    assert (done.returncode, "phone.conf has no private key" in done.stdout) == (2, True)
    assert path.read_text() == "[Interface]\n"


@pytest.mark.parametrize(
    ("clients", "reason"),
    [
        ("phone", "it is no list"),
        ([{"name": "Phone"}], "each needs a name"),
        ([{"name": "phone", "key": "x"}], "each needs a name"),
        ([{"name": "nas"}], "the name is taken"),
        ([{"name": "phone"}, {"name": "phone"}], "the name is taken"),
        ([{"name": "phone", "owner": "nas"}], "it is no person"),
    ],
)
def test_what_is_no_client_is_refused(clients: t.Any, reason: str) -> None:
    with pytest.raises(AssertionError, match=f"wireguard_clients: .*{reason}"):
        model(None, {"wireguard_clients": clients})


def test_the_configuration_is_what_the_apps_read() -> None:
    """By https://www.wireguard.com/quickstart and wg-quick(8): sections, keys, lists with commas."""
    table: t.Any = {
        "addresses": ["10.77.0.9/32", "fd77::9/128"], "mtu": 1420,
        "peers": [
            {
                "name": "edge", "public_key": "E=", "preshared": True, "endpoint": "edge.example.com:51820",
                "allowed_ips": ["10.77.0.1/32", "10.77.0.0/16"], "keepalive": 25,
            }
        ],
    }  # fmt: skip
    assert client.configuration(table, "P=", {"edge": "S="}) == (
        "[Interface]\nPrivateKey = P=\nAddress = 10.77.0.9/32, fd77::9/128\nMTU = 1420\n\n"
        "# edge\n[Peer]\nPublicKey = E=\nPresharedKey = S=\nAllowedIPs = 10.77.0.1/32, 10.77.0.0/16\n"
        "Endpoint = edge.example.com:51820\nPersistentKeepalive = 25\n"
    )


def test_the_picture_is_the_configuration() -> None:
    """A PNG, and for the terminal nothing but blocks."""
    pictures = client.pictures("[Interface]\n")
    assert pictures[".png"].startswith(b"\x89PNG\r\n")
    assert set(pictures[".txt"].decode()) & set("█▀▄")


def test_the_public_key_is_that_of_rfc_7748() -> None:
    assert client.public_key("dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=") == (
        "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="
    )


def test_a_secret_in_a_vault_gives_the_same_keys(made: Path) -> None:
    before = (made / "clients" / "phone.conf").read_bytes()
    (made / "password").write_text("correct horse")
    command = [sys.executable, "-m", "ansible", "vault", "encrypt", "--vault-password-file", "password"]
    subprocess.run([*command, "wireguard-secret"], cwd=made, check=True, timeout=60, capture_output=True)
    assert (made / "wireguard-secret").read_text().startswith("$ANSIBLE_VAULT")
    done = run(made, "--vault-password-file", "password")
    assert (done.returncode, saved(made / "out.json")["changed"]) == (0, False), done.stdout[-2000:]
    assert (made / "clients" / "phone.conf").read_bytes() == before
