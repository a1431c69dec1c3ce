# SPDX-License-Identifier: MIT

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.wonder.mesh.plugins.filter.caddy_config import caddy_config
from tests.unit.plugins.plugin_utils.mesh_world import HELLO, model, world

PAIR = {"certificate": "/etc/caddy/a.pem", "key": "/etc/caddy/a.key"}


def routes(config: dict[str, t.Any], server: str = "https") -> list[dict[str, t.Any]]:
    return config["apps"]["http"]["servers"][server]["routes"]


def proxies(config: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    handlers = [handler for route in routes(config) for handler in route["handle"]]
    return [handler for handler in handlers if handler["handler"] == "reverse_proxy"]


def everything() -> t.Any:
    """One VPS that is coordinator and gateway."""
    return model(
        groups={"gateways": ["hub"], "nodes": ["hub", "mini-1", "mini-2", "nas", "laptop"]},
        around=world({"hub.example.com": ["203.0.113.10"], "hello.example.com": ["203.0.113.10"]}),
    )


def test_the_coordinator_passes_only_what_clients_need() -> None:
    _, front, rest, end = routes(caddy_config(model(), "hub", []))
    paths = front["match"][0]["path"]
    assert {"/ts2021", "/key", "/derp", "/derp/*", "/health"} <= set(paths)
    for closed in ("/api", "/swagger", "/metrics", "/verify", "/debug", "*"):
        assert not any(path.startswith(closed) for path in paths)
    assert front["handle"][0]["upstreams"] == [{"dial": "127.0.0.1:8080"}]
    assert rest == {
        "match": [{"host": ["hub.example.com"]}],
        "handle": [{"handler": "static_response", "status_code": 404}],
        "terminal": True,
    }
    assert end == {"handle": [{"handler": "static_response", "status_code": 404}]}


def test_headscale_gets_the_address_that_caddy_saw() -> None:
    headers = proxies(caddy_config(model(), "hub", []))[0]["headers"]["request"]["set"]
    assert set(headers) == {"True-Client-IP", "X-Real-Ip", "X-Forwarded-For"}
    assert all(value == ["{http.request.remote.host}"] for value in headers.values())


@pytest.mark.parametrize("host", ["hub", "edge"])
def test_a_reload_cuts_no_stream(host: str) -> None:
    assert [proxy["stream_close_delay"] for proxy in proxies(caddy_config(model(), host))] == ["24h"]


def test_a_gateway_prefers_replicas_in_order() -> None:
    proxy = proxies(caddy_config(model(), "edge", []))[0]
    assert proxy["upstreams"] == [{"dial": "mini-1.mesh.example.com:8000"}, {"dial": "mini-2.mesh.example.com:8000"}]
    assert proxy["load_balancing"]["selection_policy"] == {"policy": "first"}
    assert proxy["transport"]["resolver"] == {"addresses": ["udp/100.100.100.100:53"]}
    assert proxy["health_checks"]["active"]["headers"] == {"Host": ["hello.example.com"]}


def test_connections_are_kept_only_where_there_is_nowhere_else_to_go() -> None:
    assert proxies(caddy_config(model(), "edge"))[0]["transport"]["keep_alive"] == {"enabled": False}
    single = model(hosts={"mini-2": {"mesh_services": None}})
    assert "keep_alive" not in proxies(caddy_config(single, "edge"))[0]["transport"]


def test_a_program_of_grpc_is_spoken_to_in_its_own_way_and_asked_only_if_it_can_answer() -> None:
    def proxy(**keys: t.Any) -> dict[str, t.Any]:
        services = {"nas": {"mesh_services": [HELLO | {"h2c": True} | keys]}}
        alone = services | {name: {"mesh_services": None} for name in ("mini-1", "mini-2")}
        return proxies(caddy_config(model(hosts=alone), "edge"))[0]

    assert proxy()["transport"]["versions"] == ["h2c", "2"]
    assert "health_checks" not in proxy()
    assert proxy(health="/healthz")["health_checks"]["active"]["uri"] == "/healthz"


def test_longer_paths_come_first() -> None:
    paths = ("/a", "/", "/a/b", "/zz")
    services = [{**HELLO, "name": f"s{number}", "path": path} for number, path in enumerate(paths)]
    config = caddy_config(model(hosts={"mini-1": {"mesh_services": services}, "mini-2": {"mesh_services": []}}), "edge")
    matches = [each["match"][0].get("path") for each in routes(config) if "host" in each.get("match", [{}])[0]]
    assert matches == [["/a/b", "/a/b/*"], ["/zz", "/zz/*"], ["/a", "/a/*"], None]


def test_one_host_has_one_configuration_for_both() -> None:
    config = caddy_config(everything(), "hub", [PAIR])
    assert [proxy["upstreams"][0]["dial"] for proxy in proxies(config)] == [
        "127.0.0.1:8080", "mini-1.mesh.example.com:8000",
    ]  # fmt: skip
    assert routes(config, "http")[-2]["match"] == [{"host": ["hello.example.com", "hub.example.com"]}]


def test_plain_http_answers_captive_checks_and_redirects_the_rest() -> None:
    *captive, redirect, end = routes(caddy_config(model(), "hub"), "http")
    assert [route["handle"][0]["status_code"] for route in captive] == [204, 204]
    assert redirect["handle"][0]["headers"] == {"Location": ["https://{http.request.host}{http.request.uri}"]}
    assert end["handle"][0]["status_code"] == 404
    assert [route["handle"][0]["status_code"] for route in routes(caddy_config(model(), "edge"), "http")] == [308, 404]


def test_a_reload_hands_over_who_has_just_connected_if_the_program_can() -> None:
    servers = caddy_config(model(), "edge")["apps"]["http"]["servers"]
    assert all(server["listener_wrappers"] == [{"wrapper": "handover"}] for server in servers.values())
    assert "handover" not in json.dumps(caddy_config(model(), "edge", handover=False))


def test_the_admin_socket_is_no_port() -> None:
    assert caddy_config(model(), "edge")["admin"]["listen"] == "unix//run/caddy/admin.sock"


def test_certificates_come_from_files_or_by_themselves() -> None:
    assert caddy_config(model(), "edge", [])["apps"]["tls"] == {}
    assert caddy_config(model(), "edge", [PAIR])["apps"]["tls"] == {"certificates": {"load_files": [PAIR]}}
    tls = caddy_config(model(), "edge", [], acme_email="a@example.com", acme_ca="https://ca.example.com")["apps"]["tls"]
    issuer = {"module": "acme", "email": "a@example.com", "ca": "https://ca.example.com"}
    assert tls == {"automation": {"policies": [{"issuers": [issuer]}]}}


def test_the_same_model_gives_the_same_bytes_and_stays_as_it_is() -> None:
    mesh = everything()
    before = copy.deepcopy(mesh)
    assert json.dumps(caddy_config(mesh, "hub", [PAIR])) == json.dumps(caddy_config(mesh, "hub", [PAIR]))
    assert mesh == before


@pytest.mark.parametrize(
    ("host", "certificates", "message"),
    [
        ("nas", [], "nas is neither coordinator nor gateway"),
        ("nobody", [], "'nobody' is no host of the model"),
        ("edge", "a.pem", "certificates must be a list"),
        ("edge", [{"certificate": "a"}], "must have a certificate and a key"),
    ],
)
def test_refuses(host: str, certificates: t.Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"caddy_config: .*{message}"):
        caddy_config(model(), host, certificates)
