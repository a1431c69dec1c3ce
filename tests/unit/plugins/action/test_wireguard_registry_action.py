# SPDX-License-Identifier: MIT

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from tests.unit.plugins.action.playbook import First, inventory, play, saved, saving
from tests.unit.plugins.plugin_utils.wireguard_world import HOSTS, HUBS, key

if t.TYPE_CHECKING:
    from subprocess import CompletedProcess

LEARN: dict[str, t.Any] = {
    "name": "Know",
    "wonder.mesh.wireguard_registry": None,
    "register": "known",
    "run_once": True,
}
SAVE = saving("{{ known | combine({'text': ansible_facts['known_nodes']}) }}")
EVERYWHERE = {"mesh_backend": "wireguard", "mesh_domain": "mesh.example.com"}


def look(name: str, **changes: t.Any) -> dict[str, t.Any]:
    return {"wireguard": {"public_key": key(name), "error": "", "registry": "", **changes}}


def run(tmp_path: Path, *arguments: str, looks: dict[str, t.Any] | None = None) -> CompletedProcess[str]:
    """The run's looks are variables of the hosts here; what the task does with them is the same."""
    seen = {name: look(name) for name in HOSTS} if looks is None else looks
    hosts = {name: {**each, "__look": seen[name]} if name in seen else dict(each) for name, each in HOSTS.items()}
    groups = {"nodes": list(HOSTS), "gateways": HUBS, "coordinator": [], "relays": [], "strangers": []}
    return play(tmp_path, inventory(hosts, groups, EVERYWHERE), [LEARN, SAVE], *arguments)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> First:
    directory = tmp_path_factory.mktemp("first")
    return First(directory, run(directory))


@pytest.fixture
def known(tmp_path: Path, first: First) -> Path:
    return first.copy(tmp_path)


def test_a_first_run_writes_the_registry_and_makes_the_secret(first: First) -> None:
    directory, done = first
    assert done.returncode == 0, done.stdout + done.stderr
    found = saved(directory / "out.json")
    registry, secret = directory / "wireguard-registry.json", directory / "wireguard-secret"
    assert found["changed"] is True
    assert registry.read_text() == found["text"] == found["diff"][0]["after"]
    assert [file.stat().st_mode & 0o777 for file in (registry, secret)] == [0o644, 0o600]
    assert secret.read_text().strip() not in done.stdout + done.stderr + (directory / "out.json").read_text()
    assert key("nas") in registry.read_text()


def test_a_second_run_changes_nothing(known: Path) -> None:
    secret = (known / "wireguard-secret").read_bytes()
    done = run(known)
    assert (done.returncode, saved(known / "out.json")["changed"]) == (0, False)
    assert (known / "wireguard-secret").read_bytes() == secret


def test_a_check_writes_nothing_and_says_what_would_come(tmp_path: Path) -> None:
    done = run(tmp_path, "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert saved(tmp_path / "out.json")["changed"] is True
    assert not (tmp_path / "wireguard-registry.json").exists()
    assert not (tmp_path / "wireguard-secret").exists()


def test_a_lost_secret_is_not_made_anew(known: Path) -> None:
    """Else the nodes of this run would have other pre-shared keys than those outside --limit."""
    (known / "wireguard-secret").unlink()
    done = run(known)
    assert done.returncode == 2
    assert "there is no mesh secret" in done.stdout
    assert not (known / "wireguard-secret").exists()


def test_a_checkout_without_files_is_told_to_bring_the_secret(known: Path) -> None:
    text = (known / "wireguard-registry.json").read_text()
    for name in ("wireguard-registry.json", "wireguard-secret"):
        (known / name).unlink()
    done = run(known, looks={"nas": look("nas", registry=text)})
    assert (done.returncode, "Bring it from where this mesh was built" in done.stdout) == (2, True)


def test_a_clone_ends_the_run_before_a_file_is_written(tmp_path: Path) -> None:
    done = run(tmp_path, looks={"nas": look("van"), "van": look("van")})
    assert done.returncode == 2
    assert "nothing was changed" in done.stdout
    assert "nas has the same key, as if one were made from the other's image" in done.stdout
    assert sorted(path.name for path in tmp_path.glob("wireguard-*")) == []


@pytest.mark.parametrize("text", ["{torn", "[]"])
def test_a_damaged_registry_is_named_and_kept(tmp_path: Path, text: str) -> None:
    (tmp_path / "wireguard-registry.json").write_text(text)
    done = run(tmp_path)
    assert (done.returncode, "wireguard-registry.json: it is no" in " ".join(done.stdout.split())) == (2, True)
    assert (tmp_path / "wireguard-registry.json").read_text() == text
    assert "Traceback" not in done.stdout + done.stderr


def test_hosts_that_did_not_answer_are_known_as_before(known: Path) -> None:
    before = (known / "wireguard-registry.json").read_text()
    done = run(known, looks={"nas": look("nas")})
    assert (done.returncode, saved(known / "out.json")["text"]) == (0, before)
