# SPDX-License-Identifier: MIT
"""docs/manual.md does by hand what the roles do: the same configuration, policy, files, units and flags."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import jinja2
import pytest
import yaml

from ansible_collections.wonder.mesh.plugins.filter.caddy_config import caddy_config
from ansible_collections.wonder.mesh.plugins.filter.mesh_policy import mesh_policy
from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs
from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
from ansible_collections.wonder.mesh.plugins.plugin_utils._model import build_model
from fleet import nat
from tests.unit.plugins.plugin_utils.mesh_world import world

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model

ROOT = Path(__file__).parents[2]
MANUAL = (ROOT / "docs" / "manual.md").read_text(encoding="utf-8")
ROLES = {
    path: path.read_text(encoding="utf-8")
    for path in (ROOT / "roles").rglob("*")
    if path.is_file() and path.parent.name != "__pycache__"  # which is written while tests run
}
EXAMPLE = yaml.safe_load((ROOT / "inventory" / "example" / "hosts.yml").read_text(encoding="utf-8"))["all"]
# What the manual names and no role does: things of the machine itself, and of the demo's hosts.
OTHERS = {"/usr/sbin/nologin", "/run/netns/box", "/run/key", "/etc/systemd/system"}
COMMANDS = re.sub(r"<<'(\w+)'\n.*?\n    \1\n", "", MANUAL, flags=re.DOTALL)
PATHS = sorted(set(re.findall(r"(?<![\w.:])(/(?:etc|usr|var|run)/[\w./-]*\w)", COMMANDS)) - OTHERS)


def document(name: str) -> str:
    """The text between `<<'NAME'` and NAME."""
    (text,) = re.findall(rf"<<'{name}'\n(.*?)\n    {name}\n", MANUAL, re.DOTALL)
    return t.cast("str", text)


@pytest.fixture(scope="module")
def model() -> Model:
    """The README's own inventory."""
    hosts = {name: {**EXAMPLE["vars"], **each} for name, each in EXAMPLE["hosts"].items()}
    groups = {name: list(each["hosts"]) for name, each in EXAMPLE["children"].items()}
    address = ["203.0.113.10"]
    around = world({"vps.example.com": address, "hello.example.com": address})
    outcome = build_model(Inventory.of({"relays": [], "strangers": [], **groups}, hosts), around)
    assert outcome.model, outcome.problems
    return outcome.model


def test_headscales_configuration_is_the_roles(model: Model) -> None:
    role = ROOT / "roles" / "headscale"
    defaults = yaml.safe_load(ROLES[role / "defaults" / "main.yml"])
    named = {
        "headscale_server_url": model["server_url"],
        "headscale_base_domain": model["domain"],
        "__headscale_data": yaml.safe_load(ROLES[role / "vars" / "main.yml"])["__headscale_data"],
        "__headscale_embedded": True,
        "__headscale_stun": "0.0.0.0:3478",
        "__headscale_regions": [],
    }
    templates = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701
    templates.filters["to_json"] = json.dumps
    rendered = templates.from_string(ROLES[role / "templates" / "config.yaml.j2"]).render(defaults | named)
    assert yaml.safe_load(document("CONFIG")) == yaml.safe_load(rendered)


def test_the_policy_permits_what_the_roles_does(model: Model) -> None:
    """The role adds tests, and rules for logins by SSH, which this inventory has none of."""
    manual, role = json.loads(document("POLICY")), mesh_policy(model)
    assert manual == {key: role[key] for key in ("tagOwners", "grants", "nodeAttrs")}


def test_caddy_passes_on_what_the_role_passes_on(model: Model) -> None:
    routes = caddy_config(model, "vps", [])["apps"]["http"]["servers"]["https"]["routes"]
    allowed = next(paths for each in routes if "/ts2021" in (paths := each.get("match", [{}])[0].get("path", [])))
    named = [path for line in re.findall(r"@\w+ path (.*)", document("CADDY")) for path in line.split()]
    assert sorted(named) == sorted(allowed)


def test_the_routers_rules_are_those_of_the_fleet() -> None:
    fleet = [" ".join(line.split()) for line in nat.rules("easy").splitlines()]
    manual = [" ".join(line.split()) for line in document("RULES").splitlines()]
    assert [line for line in manual if line not in fleet] == []
    assert f"`{nat.NEW_PORTS}`" in MANUAL


def test_a_program_is_built_as_ours_are() -> None:
    (line,) = re.findall(r"CGO_ENABLED=0 GOARCH=amd64 go build (.*)", MANUAL)
    flags, _, package = line.partition(" -o headscale ")
    assert flags.split() == list(_programs.BUILD_FLAGS)
    assert package == _programs.find("headscale").packages["headscale"]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_one_of_the_roles(path: str) -> None:
    if path.endswith((".service", ".socket")):
        assert [each for each in ROLES if each.name == f"{Path(path).name}.j2"]
    else:  # roles put some files together from a directory's name and their own
        assert [text for text in ROLES.values() if path in text or str(Path(path).parent) in text]


@pytest.mark.parametrize("user", re.findall(r"useradd .* ([\w-]+)\n", MANUAL))
def test_a_user_is_one_of_the_roles(user: str) -> None:
    assert [text for text in ROLES.values() if f"\n    user: {user}\n" in text]


@pytest.mark.parametrize("name", sorted(set(re.findall(r"[Rr]oles? `(\w+)`", MANUAL))))
def test_a_role_is_there(name: str) -> None:
    assert (ROOT / "roles" / name).is_dir()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`wonder\.mesh\.(\w+)`", MANUAL))))
def test_a_plugin_is_there(name: str) -> None:
    assert [path for path in ROOT.glob(f"plugins/*/{name}.py") if path.is_file()]


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`?((?:tools|playbooks)/[\w./]+)", MANUAL))))
def test_what_it_runs_of_ours_is_there(command: str) -> None:
    assert (ROOT / command).is_file()
