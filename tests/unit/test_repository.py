# SPDX-License-Identifier: MIT
"""Promises about the repository itself: links, argument specs, licences, locks, and nothing of one machine only."""

from __future__ import annotations

import functools
import re
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SKELETON = ROOT / "collections/ansible_collections/wonder/mesh"
LINKS = ["galaxy.yml", "meta", "playbooks", "plugins", "programs", "roles"]
LOCKS = ["requirements.txt", "requirements-dev.txt", "requirements-newest.txt"]
ROLES = sorted(path.name for path in (ROOT / "roles").glob("*"))
SPDX = "SPDX-License-Identifier: MIT"
SOURCE_SUFFIXES = {".py", ".sh", ".go", ".toml"}

# A host name of a package registry or an absolute path of one machine: of no use to anybody else. Spelled in parts, so
# that this file does not find itself.
REGISTRIES = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "proxy.go" + "lang.org",
    "registry." + "npmjs",
    "deb." + "debian.org",
    "repo." + "maven",
    "repo1." + "maven",
]
MACHINE_PATHS = ["/" + "work/", "/" + "root/", "/home" + "/", "." + "library/", "/" + "Users/"]


@functools.cache
def repository_files() -> list[Path]:
    """The files that are in git or would be, less links and lock files of other ecosystems (they hold hashes only)."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    paths = [ROOT / name for name in listed if name]
    return [path for path in paths if path.is_file() and not path.is_symlink() and path.name != "go.sum"]


def is_source(path: Path) -> bool:
    """A program's text: by its suffix, or a script by its first two bytes."""
    if path.suffix in SOURCE_SUFFIXES:
        return True
    with path.open("rb") as stream:
        return stream.read(2) == b"#!"


def relative(paths: t.Iterable[Path]) -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in paths)


def pins(lock: str) -> set[str]:
    return {line.split(" ")[0] for line in read_text(ROOT / lock).splitlines() if "==" in line}


def read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


@pytest.mark.parametrize("name", LINKS)
def test_the_checkout_is_a_collection_by_links(name: str) -> None:
    link = SKELETON / name
    assert link.is_symlink()
    assert str(link.readlink()) == f"../../../../{name}"
    assert link.resolve() == ROOT / name


def test_the_skeleton_holds_nothing_else() -> None:
    assert relative(SKELETON.iterdir()) == [f"collections/ansible_collections/wonder/mesh/{name}" for name in LINKS]


@pytest.mark.parametrize("role", ROLES)
def test_argument_specs_name_the_defaults(role: str) -> None:
    """Both ways; only a variable that the user must set has no default."""
    folder = ROOT / "roles" / role
    specs = yaml.safe_load(read_text(folder / "meta/argument_specs.yml"))["argument_specs"]
    options = {name: option for entry in specs.values() for name, option in (entry.get("options") or {}).items()}
    defaults_file = folder / "defaults/main.yml"
    defaults = (yaml.safe_load(read_text(defaults_file)) or {}) if defaults_file.exists() else {}
    optional = {name for name, option in options.items() if not option.get("required")}
    assert (sorted(set(defaults) - set(options)), sorted(optional - set(defaults))) == ([], [])


def test_every_source_file_names_its_licence() -> None:
    def heads(path: Path) -> str:
        return "\n".join(read_text(path).splitlines()[:3])

    assert relative(path for path in repository_files() if is_source(path) and SPDX not in heads(path)) == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_holds_hashes_and_no_address(name: str) -> None:
    text = read_text(ROOT / name)
    pins = re.findall(r"^[a-z0-9][\w.-]*==\S+(?: ;[^\n]*)? \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)) > 0
    assert re.findall(r"https?:|--index|--extra-index|--find-links|--trusted-host", text) == []


def test_the_dev_lock_holds_the_run_lock() -> None:
    run, dev, _ = (pins(name) for name in LOCKS)
    assert run - dev == set()


def test_the_newest_lock_differs_in_ansible_core_alone() -> None:
    _, dev, newest = (pins(name) for name in LOCKS)
    assert [pin.split("==")[0] for pin in newest - dev] == ["ansible-core"]


def test_the_collection_wants_the_ansible_core_that_is_tested() -> None:
    oldest, newest = (
        re.findall(r"^ansible-core==2\.(\d+)\.", read_text(ROOT / name), re.MULTILINE)[0]
        for name in ("requirements.in", "requirements-newest.in")
    )
    wanted = yaml.safe_load(read_text(ROOT / "meta/runtime.yml"))["requires_ansible"]
    assert wanted == f">=2.{oldest}.0,<2.{int(newest) + 1}.0"


def test_pytest_ansible_stays_out() -> None:
    """Beside pytest-testinfra it kills pytest: both define --ansible-inventory."""
    text = read_text(ROOT / "requirements-dev.txt")
    assert re.findall(r"^(?:pytest-ansible|ansible-dev-tools)==", text, re.MULTILINE) == []


@pytest.mark.parametrize("word", REGISTRIES + MACHINE_PATHS)
def test_nothing_names_one_machine_or_a_registry(word: str) -> None:
    assert relative(path for path in repository_files() if word in read_text(path)) == []


def test_the_readme_shows_the_example_inventory() -> None:
    example = (ROOT / "inventory" / "example" / "hosts.yml").read_text(encoding="utf-8")
    assert f"```yaml\n{example}```" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_world_one_vps_is_the_readmes_inventory() -> None:
    """The same hosts in the same groups; only the stranger comes on top."""
    example = yaml.safe_load((ROOT / "inventory" / "example" / "hosts.yml").read_text(encoding="utf-8"))["all"]
    world = yaml.safe_load((ROOT / "fleet" / "topologies" / "one-vps.yml").read_text(encoding="utf-8"))
    homes = {name: host for home in world["homes"].values() for name, host in home["hosts"].items()}
    hosts = {name: set(host["groups"]) for name, host in {**world["public"], **homes}.items() if name != "stranger"}
    groups = example["children"].items()
    assert hosts == {name: {group for group, each in groups if name in each["hosts"]} for name in example["hosts"]}
