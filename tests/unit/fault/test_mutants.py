# SPDX-License-Identifier: MIT
"""Thousands of mutants of the demo's and the README's inventory: refused in words, or sound wanted state."""

from __future__ import annotations

import functools
import json
import re
import tempfile
import typing as t
from pathlib import Path

import jinja2
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.wonder.mesh.plugins.filter.caddy_config import caddy_config
from ansible_collections.wonder.mesh.plugins.filter.headscale_nodes import headscale_nodes
from ansible_collections.wonder.mesh.plugins.filter.mesh_paths import mesh_paths
from ansible_collections.wonder.mesh.plugins.filter.mesh_policy import mesh_policy
from ansible_collections.wonder.mesh.plugins.filter.probe_plan import probe_plan
from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
from ansible_collections.wonder.mesh.plugins.plugin_utils._model import Outcome, build_model
from ansible_collections.wonder.mesh.plugins.plugin_utils._options import PLAYERS, ROLES
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import printable
from fleet import inventory, topology
from fleet.state import State
from tests.fault.mutants.files import make_files
from tests.fault.mutants.mutations import GROUPS, Mutator
from tests.unit.plugins.plugin_utils.mesh_world import world

EXAMPLE = Path(__file__).parents[3] / "inventory" / "example" / "hosts.yml"
MUTANTS = 1500  # of each inventory
# What a defect would say, and no mistake does.
INTERNAL = re.compile(r"Traceback|object at 0x|<class|\w+Error\(|recursion|internal")


@functools.cache
def folder_of(name: str) -> tempfile.TemporaryDirectory[str]:
    """For one inventory, until the end."""
    return tempfile.TemporaryDirectory(suffix=f"-{name}")


@functools.cache
def mutator(name: str) -> Mutator:
    folder = Path(folder_of(name).name)
    (folder / "files").mkdir()
    if name == "example":
        good = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    else:
        demo = topology.load("demo", ["easy", "hard", "udp-blocked"])
        good = inventory.inventory(demo, State("unit"))
        for host in good["all"]["hosts"].values():
            host.pop("caddy_certificates", None)  # which a fleet that is not there does not have
    return Mutator(good, make_files(folder / "files"), folder)


def outcome_of(text: str) -> Outcome | None:
    """What the check says. None for what Ansible itself does not read as an inventory."""
    try:
        everything = load(text)["all"]
        shared, own, children = everything["vars"] or {}, everything["hosts"], everything["children"]
        groups = {name: list((children[name] or {}).get("hosts") or {}) for name in GROUPS if name in children}
        hosts = {
            str(host): {**shared, **(own.get(host) or {})} for host in [*own, *(h for g in groups.values() for h in g)]
        }
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError):
        return None
    return build_model(Inventory.of(groups, hosts), world(ANY_NAME, read=read_file))


def read_file(path: str) -> bytes:
    if not Path(path).is_file():  # mutants name devices too
        raise FileNotFoundError(2, "No such file", path)
    return Path(path).read_bytes()


class _AnyName(dict[str, list[str]]):
    def get(self, _name: str, _default: t.Any = None) -> t.Any:
        return ["203.0.113.10"]


ANY_NAME = _AnyName()


@pytest.mark.parametrize("name", ["demo", "example"])
@settings(max_examples=MUTANTS, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 10**9))
def test_a_mutant_is_refused_in_words_or_gives_sound_wanted_state(name: str, seed: int) -> None:
    mutant = mutator(name).mutant(str(seed))
    outcome = outcome_of(mutant.text)
    if outcome is None:
        return
    assert (outcome.model is None) == bool(outcome.problems), mutant
    for line in outcome.problems:
        where, variable, rest = line.split(": ", 2)
        found, _, why = rest.partition(": ")
        said = bool(where and variable and found.startswith("found "))
        explained = ". " in why and why.endswith(".")
        internal = INTERNAL.search(line) is not None
        assert (said, explained, internal, printable(line)) == (True, True, False, True), (mutant, line)
    if outcome.model is not None:
        check_wanted_state(outcome.model, load(mutant.text)["all"])


def load(text: str) -> t.Any:
    return yaml.load(text, Loader=yaml.CSafeLoader)


def check_wanted_state(model: t.Any, everything: dict[str, t.Any]) -> None:
    """All that the roles would send can be made, is data, and has as many lines as it should."""
    json.dumps([model, mesh_policy(model), headscale_nodes(model), mesh_paths(model)], allow_nan=False).encode()
    for host, each in model["hosts"].items():
        json.dumps(probe_plan(model, host)).encode()
        merged = {**(everything["vars"] or {}), **((everything["hosts"] or {}).get(host) or {})}
        variables = {str(name): value for name, value in merged.items()}
        if {"coordinator", "gateways"} & set(each["groups"]):
            text = json.dumps(caddy_config(model, host, [], str(variables.get("caddy_acme_email") or "")))
            assert not re.search(r"\{(env|file|system)\.", text)
        if "coordinator" in each["groups"]:
            check_headscale(model, variables)
        if "nodes" in each["groups"]:
            check_units(each, variables)


def check_headscale(model: t.Any, variables: dict[str, t.Any]) -> None:
    relays = {"__headscale_regions": [], "__headscale_embedded": True, "__headscale_stun": "0.0.0.0:3478"}
    own = {"headscale_server_url": model["server_url"], "headscale_base_domain": model["domain"], **relays}
    config = load(rendered("headscale", "config.yaml.j2", {**variables, **own}))
    assert set(config) == set(load(rendered("headscale", "config.yaml.j2", own)))
    assert (config["server_url"], config["dns"]["base_domain"]) == (model["server_url"], model["domain"])
    assert config["log"] == {"level": variables.get("headscale_log_level", "info"), "format": "text"}


def check_units(host: t.Any, variables: dict[str, t.Any]) -> None:
    mine = {"tailscaled_tun": host["tun"], "__tailscaled_owner": "x", "probe_port": 7733}
    for role, template in (("tailscaled", "tailscaled.service.j2"), ("probe", "mesh-probe.socket.j2")):
        addresses = {"probe_addresses": variables.get("probe_addresses") or ["100.64.0.1"]}
        lines = rendered(role, template, {**variables, **mine, **addresses}).splitlines()
        good = rendered(role, template, {**mine, **addresses}).splitlines()
        assert len(lines) == len(good)
        assert [line.partition("=")[0] for line in lines] == [line.partition("=")[0] for line in good]


@functools.cache
def defaults(role: str) -> dict[str, t.Any]:
    found = [
        yaml.safe_load((ROLES / role / kind / "main.yml").read_text(encoding="utf-8")) for kind in ("defaults", "vars")
    ]
    return {name: value for each in found for name, value in each.items() if "{{" not in str(value)}


@functools.cache
def environment(role: str) -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(ROLES / role / "templates")
    made = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True, autoescape=False)  # noqa: S701
    made.filters |= {"to_json": json.dumps, "bool": bool}
    return made


def rendered(role: str, template: str, variables: dict[str, t.Any]) -> str:
    own = {name: value for name, value in variables.items() if value is not None or name not in defaults(role)}
    return environment(role).get_template(template).render({"__tailscaled_traces": "x", **defaults(role), **own})


def test_every_variable_of_every_role_is_mutated() -> None:
    """Neither inventory nor templates have an input that no mutant touches."""
    touched: set[str] = set()
    for number in range(6000):
        mutant = mutator("example").mutant(f"touch {number}")
        touched |= {found for line in mutant.lines for found in re.findall(r"\b(?:[a-z]+_)+[a-z0-9]+(?=:)", line)}
    wanted = {name for role in PLAYERS for name in yaml.safe_load((ROLES / role / "defaults" / "main.yml").read_text())}
    assert wanted - touched == set()
