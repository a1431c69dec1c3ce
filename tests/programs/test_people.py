# SPDX-License-Identifier: MIT
"""People log in to a real Headscale with the configuration that the role makes; machines go on joining by keys."""

from __future__ import annotations

import contextlib
import datetime
import json
import types
import typing as t
from pathlib import Path

import jinja2
import pytest
import yaml

from ansible_collections.wonder.mesh.plugins.modules.headscale_join_key import mint
from tests.programs.control import Control, free_ports, program, running
from tests.programs.people import Device, device, issuer, log_in, user

if t.TYPE_CHECKING:
    from collections.abc import Iterator

ROLE = Path(__file__).parents[2] / "roles" / "headscale"
CLIENT, SECRET = "mesh", "a-secret-that-nobody-sees-4711"
GRANT = {"src": ["alice@example.com"], "dst": ["tag:node-nas"], "ip": ["tcp:445"]}
POLICY = {"tagOwners": {"tag:node": [], "tag:node-nas": []}, "grants": [GRANT]}
# The issuer shows them in this order, one for each login.
PEOPLE = [user("alice", "family"), user("mallory", "family"), user("bob"), user("alice", "family", verified=False)]


def settings(place: Path, **oidc: t.Any) -> dict[str, t.Any]:
    """What the role's template says of people, for a Headscale that has its files in this place."""
    environment = jinja2.Environment(undefined=jinja2.ChainableUndefined, trim_blocks=True)  # noqa: S701
    environment.filters["to_json"] = lambda value: json.dumps(None if isinstance(value, jinja2.Undefined) else value)
    groups = ["groups"] if oidc.get("allowed_groups") else []
    text = environment.from_string((ROLE / "templates" / "config.yaml.j2").read_text()).render(
        headscale_oidc={"client_id": CLIENT, **oidc},
        __headscale_secret=str(place / "oidc_secret"),
        __headscale_scopes=["openid", "profile", "email", *groups],
    )
    made = yaml.safe_load(text)
    return {key: made[key] for key in ("oidc", "node")}


def headscale(place: Path, url: str) -> contextlib.AbstractContextManager[Control]:
    """A Headscale that knows the issuer, and lets those in who are in both lists."""
    (place / "oidc_secret").write_text(SECRET)
    allowed = {"allowed_users": ["alice@example.com", "bob@example.com"], "allowed_groups": ["family"]}
    return running(place, settings(place, issuer=url, **allowed))


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> str:
    return program(tmp_path_factory.mktemp("program"), "headscale")


@pytest.fixture(scope="module")
def control(binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    place = tmp_path_factory.mktemp("headscale")
    with issuer(binary, free_ports(), (CLIENT, SECRET), PEOPLE) as url, headscale(place, url) as control:
        control.api("PUT", "/api/v1/policy", {"policy": json.dumps(POLICY)})
        yield control


class Login(t.NamedTuple):
    """A person's device, and how the last page of her login was answered."""

    device: Device
    status: int


@pytest.fixture(scope="module")
def logins(control: Control, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Login]]:
    """One of each person of the issuer."""
    found = {}
    with contextlib.ExitStack() as stack:
        for name in ("alice", "mallory", "bob", "unverified"):
            phone = stack.enter_context(device(tmp_path_factory.mktemp(name), control))
            found[name] = Login(phone, log_in(phone.ask_to_join(f"phone-of-{name}")))
        yield found


def nodes(control: Control) -> dict[str, dict[str, t.Any]]:
    return {node["givenName"]: node for node in control.api("GET", "/api/v1/node")["nodes"]}


def join_key(control: Control) -> str:
    asked = types.SimpleNamespace(call=control.api)
    return mint(t.cast("t.Any", asked), ["tag:node", "tag:node-nas"])["key"]


def test_a_person_who_is_allowed_joins_with_a_device_of_hers(control: Control, logins: dict[str, Login]) -> None:
    assert (logins["alice"].status, logins["alice"].device.is_running()) == (200, True)
    node = nodes(control)["phone-of-alice"]
    assert (node["user"]["email"], node["tags"]) == ("alice@example.com", [])


@pytest.mark.parametrize("name", ["mallory", "bob", "unverified"])  # no allowed user, in no group, an unproven address
def test_a_person_who_is_not_allowed_does_not_join(control: Control, logins: dict[str, Login], name: str) -> None:
    assert logins[name].status == 401
    assert logins[name].device.status()["BackendState"] == "NeedsLogin"
    assert f"phone-of-{name}" not in nodes(control)


def test_a_device_asks_for_a_new_login_after_half_a_year(control: Control, logins: dict[str, Login]) -> None:
    assert logins["alice"].device.is_running()
    expiry = datetime.datetime.fromisoformat(nodes(control)["phone-of-alice"]["expiry"][:19] + "+00:00")
    assert round((expiry - datetime.datetime.now(datetime.UTC)).total_seconds() / 86400) == 180


def test_a_machine_joins_by_its_key_besides_and_asks_for_no_login(
    control: Control, logins: dict[str, Login], tmp_path: Path
) -> None:
    assert logins["alice"].device.is_running()
    with device(tmp_path, control) as nas:
        nas.join("nas", join_key(control))
        assert nas.is_running()
        assert (nodes(control)["nas"]["tags"], nodes(control)["nas"]["expiry"]) == (["tag:node", "tag:node-nas"], None)
        test = {"src": "alice@example.com", "proto": "tcp", "accept": ["tag:node-nas:445"], "deny": ["tag:node-nas:22"]}
        control.api("POST", "/api/v1/policy/check", {"policy": json.dumps(POLICY | {"tests": [test]})})


def test_a_machine_joins_while_the_issuer_is_down(tmp_path_factory: pytest.TempPathFactory) -> None:
    nobody = f"http://127.0.0.1:{free_ports()}/oidc"
    with headscale(tmp_path_factory.mktemp("alone"), nobody) as control:
        control.api("PUT", "/api/v1/policy", {"policy": json.dumps(POLICY)})
        with device(tmp_path_factory.mktemp("nas"), control) as nas:
            nas.join("nas", join_key(control))
            assert nas.is_running()


def test_the_secret_is_in_no_other_file_and_no_argument(control: Control, logins: dict[str, Login]) -> None:
    assert logins["alice"].status == 200
    texts = {path.name: path.read_bytes() for path in control.place.iterdir() if path.is_file()}
    holding = [name for name, content in texts.items() if SECRET.encode() in content]
    assert holding == ["oidc_secret"]
    arguments = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(SECRET.encode() in each for each in arguments)
