# SPDX-License-Identifier: MIT
"""People log in through the coordinator's public front: a real Caddy as our filter configures it before Headscale."""

from __future__ import annotations

import http.client
import json
import typing as t

import pytest

from fleet.authority import Authority
from tests.programs.control import Control, free_ports, program, running
from tests.programs.gateway import Gateway
from tests.programs.people import device, issuer, log_in
from tests.programs.test_people import CLIENT, PEOPLE, SECRET, nodes, settings
from tests.unit.plugins.plugin_utils.mesh_world import model

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "localhost"  # which leads here without a resolver
HEADSCALE = "127.0.0.1:8080"  # where the front looks for it


class Public(t.NamedTuple):
    """A Headscale and its front."""

    control: Control
    front: Gateway


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Public]:
    place, work = tmp_path_factory.mktemp("front"), tmp_path_factory.mktemp("headscale")
    authority = Authority("the front's")
    front = Gateway(place, authority, [NAME])
    (work / "oidc_secret").write_text(SECRET)
    (work / "authority.pem").write_text(authority.certificate)
    url = f"https://{NAME}:{front.port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(work / "authority.pem"))  # for the device, and for the browser
        binary = program(tmp_path_factory.mktemp("issuer"), "headscale")
        with issuer(binary, free_ports(), (CLIENT, SECRET), PEOPLE) as its:
            login = settings(work, issuer=its, allowed_users=["alice@example.com"])
            with running(work, {**login, "server_url": url, "trusted_proxies": ["127.0.0.1/32"]}) as control:
                control.url = url
                text = json.dumps(front.configure(model(), host="hub")).replace(HEADSCALE, f"127.0.0.1:{control.port}")
                front.write(json.loads(text.replace("hub.example.com", NAME)))
                with front.running():
                    yield Public(control, front)


def test_a_person_logs_in_through_the_front_and_her_device_joins(public: Public, tmp_path: Path) -> None:
    with device(tmp_path, public.control) as phone:
        address = phone.ask_to_join("phone-of-alice")
        assert address.startswith(f"{public.control.url}/register/")
        assert (log_in(address), phone.is_running()) == (200, True)
    assert nodes(public.control)["phone-of-alice"]["user"]["email"] == "alice@example.com"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/node",
        "/api/v1/policy",
        "/oidc/../api/v1/node",
        "/register/..%2f..%2fapi/v1/node",
        "//api/v1/node",
        "/swagger",
        "/verify",
        "/metrics",
        "/debug/pprof/",
    ],
)
def test_the_front_lets_nobody_to_the_api_not_even_with_its_key(public: Public, path: str) -> None:
    key = {"Authorization": f"Bearer {public.control.key}"}
    assert public.front.ask(NAME, path, headers=key).status == http.client.NOT_FOUND
    assert "nodes" in public.control.api("GET", "/api/v1/node")  # which has the same key
