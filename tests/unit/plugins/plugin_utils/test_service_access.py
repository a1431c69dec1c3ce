# SPDX-License-Identifier: MIT
"""Who may come to a service: what the inventory may say of it, what is refused, and what a stranger must get."""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t

import pytest

from ansible_collections.wonder.mesh.plugins.plugin_utils._verdict import judge
from fleet.authority import Authority
from tests.unit.plugins.plugin_utils.mesh_world import RECORDS, build, changed, measure, model, world

HASH = "$2y$12$" + "abcdefghijklmnopqrstuv" + "w" * 31
CLEAR = "hunter2-in-clear"
BLOG: dict[str, t.Any] = {"name": "blog", "host": "blog.example.com", "port": 8080}
DB = {"name": "db", "protocol": "tcp", "port": 5432}
GAME = {"name": "game", "protocol": "udp", "port": 9999, "health": "ping"}
AUTHORITY = Authority("clients")
FILES = {
    "ca.pem": AUTHORITY.certificate,
    "server.pem": AUTHORITY.issue(["blog.example.com"])[0],
    "text": "no certificate",
}


def read(path: str) -> bytes:
    if path not in FILES:
        raise FileNotFoundError(2, "No such file or directory", path)
    return FILES[path].encode()


AROUND = dataclasses.replace(
    world(RECORDS | {"blog.example.com": ["203.0.113.11"]}),
    read_file=read,
    now=datetime.datetime.now(datetime.UTC),
)


def nas(*services: dict[str, t.Any], users: object = None, **others: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    hosts: dict[str, t.Any] = {"nas": {"mesh_services": list(services)}, "edge": {"caddy_users": users}}
    return {"hosts": hosts | {name: {"mesh_services": each} for name, each in others.items()}, "around": AROUND}


def forward(url: str, **more: t.Any) -> dict[str, t.Any]:
    return nas(BLOG | {"forward_auth": {"url": url, **more}})


MISTAKES: dict[str, tuple[dict[str, t.Any], str]] = {
    "allow of nobody": (nas(BLOG | {"allow": []}), r"mesh_services\[0\]\.allow: .*a list of networks"),
    "allow of a name": (nas(BLOG | {"allow": ["home"]}), r'\.allow: found "home": .*neither network nor address'),
    "allow with more bits": (nas(DB | {"allow": ["192.0.2.7/24"]}), r"bits beyond its length\. Write 192\.0\.2\.0/24"),
    "allow twice": (nas(DB | {"allow": ["192.0.2.7", "192.0.2.7/32"]}), r"\.allow: .*it is named twice"),
    "users of tcp": (nas(DB | {"basic_auth": ["alice"]}), r"\.basic_auth: .*protocol tcp has none"),
    "a typo": (nas(BLOG | {"basicauth": {"alice": CLEAR}}), r"\.basicauth: found \"\(hidden\)\": .*no such key"),
    "users with passwords": (
        nas(BLOG | {"basic_auth": {"alice": CLEAR}}),
        r"\.basic_auth: .*list of names; the hash .* is in caddy_users of the gateways",
    ),
    "no name of a user": (nas(BLOG | {"basic_auth": ["a:b"]}), r"\.basic_auth: .*one is no name"),
    "a user nobody knows": (
        nas(BLOG | {"basic_auth": ["alice"]}),
        r"edge: caddy_users\.alice: found nothing: blog asks for this user.*`htpasswd -nB -C 12 alice`",
    ),
    "a password in clear": (
        nas(BLOG | {"basic_auth": ["alice"]}, users={"alice": CLEAR}),
        r"edge: caddy_users\.alice: .*it is no bcrypt hash of a password\. Set it to what `htpasswd -nB -C 12 alice`",
    ),
    "another hash": (nas(users={"alice": "$6$x$y"}), r"caddy_users\.alice: .*it is no bcrypt hash"),
    "a cheap hash": (nas(users={"alice": HASH.replace("$12$", "$05$")}), r"its cost is 5, and it must be 10 to 15"),
    "users in a list": (nas(users=[CLEAR]), r"edge: caddy_users: .*must give each user a bcrypt hash"),
    "two who ask": (
        nas(BLOG | {"basic_auth": ["alice"], "forward_auth": {"url": "http://127.0.0.1/x"}}, users={"alice": HASH}),
        r"\.basic_auth: .*forward_auth asks who it is already",
    ),
    "auth without url": (nas(BLOG | {"forward_auth": {}}), r"\.forward_auth\.url: .*no http address"),
    "auth by its url alone": (nas(BLOG | {"forward_auth": "http://x/"}), r"\.forward_auth: .*must have a url"),
    "auth with a password": (forward("http://u:hunter2-in-clear@a.example.com/"), r"\.forward_auth\.url: .*hidden"),
    "auth without path": (forward("http://a.example.com"), r"\.url: .*no http address with a path"),
    "auth with a placeholder": (forward("http://a.example.com/{file.x}"), r"\.url: .*no http address"),
    "auth that is not published": (
        forward("http://mini-1.mesh.example.com:9091/x"),
        r"nas: mesh_services\.blog\.forward_auth\.url: .*may not reach port 9091 there, which no service has",
    ),
    "auth on no node": (forward("http://x.mesh.example.com/x"), r"\.url: .*no node has this name"),
    "auth that sets the host": (forward("http://127.0.0.1/x", headers=["Host"]), r"\.headers: .*list of names of head"),
    "auth that says from where": (forward("http://127.0.0.1/x", headers=["X-Forwarded-For"]), r"\.headers: "),
    "no authority": (
        nas(BLOG | {"client_certificates": "nowhere"}),
        r"nas: mesh_services\.blog\.client_certificates: found \"nowhere\": the file cannot be read: No such file",
    ),
    "authority in no pem": (nas(BLOG | {"client_certificates": "text"}), r"holds no certificate in PEM"),
    "a certificate that is no authority": (
        nas(BLOG | {"client_certificates": "server.pem"}),
        r"CN=blog\.example\.com is the certificate of no authority",
    ),
    "a name with two minds": (
        nas(BLOG | {"client_certificates": "ca.pem"}, BLOG | {"name": "b", "path": "/b"}),
        r"services\.b\.client_certificates: .*nas has ca\.pem for blog under the same name",
    ),
    "a size without unit": (nas(BLOG | {"max_body": 100}), r"\.max_body: found 100: .*no number with kB"),
    "a time without unit": (nas(BLOG | {"timeout": "10"}), r"\.timeout: .*Write it like 10m, or unlimited"),
    "no way to speak": (nas(BLOG | {"h2c": "yes"}), r"\.h2c: found \"yes\": it is neither true nor false"),
    "replicas that speak differently": (
        nas(BLOG | {"h2c": True, "health": "/"}, laptop=[BLOG]),
        r"laptop: mesh_services\.blog\.h2c: .*the replica on nas has true",
    ),
    "replicas that differ": (
        nas(BLOG | {"allow": ["192.0.2.7"]}, laptop=[BLOG]),
        r"laptop: mesh_services\.blog\.allow: .*the replica on nas has \[\"192\.0\.2\.7/32\"\]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refused_with_where_and_why_and_without_a_secret(name: str) -> None:
    changes, pattern = MISTAKES[name]
    outcome = build(**changes)
    assert outcome.model is None
    assert re.search(pattern, "\n".join(outcome.problems)), outcome.problems
    assert not [line for line in outcome.problems if CLEAR in line or HASH[7:] in line]


def test_an_expired_authority_is_refused() -> None:
    late = dataclasses.replace(AROUND, now=AROUND.now + datetime.timedelta(days=400))
    outcome = build(**{**nas(BLOG | {"client_certificates": "ca.pem"}), "around": late})
    assert any("CN=clients is valid from" in line for line in outcome.problems)


def test_a_service_is_for_everybody_unless_it_says_otherwise() -> None:
    (blog,) = [each for each in model(**nas(BLOG))["services"] if each["name"] == "blog"]
    assert blog["access"] == {
        "allow": [], "basic_auth": [], "forward_auth": None, "client_certificates": "",
        "max_body": 10 * 2**30, "timeout": 300, "h2c": False,
    }  # fmt: skip


def test_no_hash_is_in_the_model() -> None:
    assert HASH not in str(model(**nas(BLOG | {"basic_auth": ["alice"]}, users={"alice": HASH})))


def test_sizes_and_times_have_units_or_no_end() -> None:
    (blog, *_) = model(**nas(BLOG | {"max_body": "5 MiB", "timeout": "unlimited"}))["services"]
    assert (blog["access"]["max_body"], blog["access"]["timeout"]) == (5 * 2**20, 0)


def test_an_auth_service_in_the_mesh_must_be_published_with_its_port() -> None:
    auth = {"name": "auth", "host": "hello.example.com", "port": 9091, "path": "/auth"}
    assert build(**forward("http://laptop.mesh.example.com:9091/x") | {"hosts": {
        "nas": {"mesh_services": [BLOG | {"forward_auth": {"url": "http://laptop.mesh.example.com:9091/x"}}]},
        "laptop": {"mesh_services": [auth]},
    }}).problems == []  # fmt: skip


# What a stranger, who is 203.0.113.12, must get.
GUARDED: dict[str, tuple[dict[str, t.Any], int | None, int, str]] = {
    "a password": ({"basic_auth": ["alice"]}, 401, 200, "who has no password"),
    "an auth service": ({"forward_auth": {"url": "http://127.0.0.1/x"}}, 302, 200, "who is known to no auth service"),
    "a network": ({"allow": ["192.0.2.0/24"]}, 403, 200, "who is not among 192.0.2.0/24"),
    "its own network": ({"allow": ["203.0.113.0/24"]}, 200, 403, "does not serve stranger: status 403"),
    "a certificate": ({"client_certificates": "ca.pem"}, None, 200, "who has no certificate"),
    "a program of gRPC": ({"h2c": True}, 415, 404, "does not serve stranger: status 404"),
    "a program of gRPC with a health": ({"h2c": True, "health": "/"}, 200, 415, "does not serve stranger: status 415"),
    "a password before gRPC": ({"h2c": True, "basic_auth": ["alice"]}, 401, 415, "who has no password"),
}


@pytest.mark.parametrize("name", GUARDED)
def test_the_proof_knows_who_is_not_to_be_served(name: str) -> None:
    keys, right, wrong, reason = GUARDED[name]
    mesh = model(**nas(BLOG | keys, users={"alice": HASH}))
    measured = measure(mesh)
    number = next(n for n, each in enumerate(measured["stranger"]["urls"]) if "blog" in each["url"])

    def verdict(status: int | None) -> dict[str, t.Any]:
        error = "" if status else "no answer: tlsv13 alert certificate required"
        answer = measured["stranger"]["urls"][number] | {"status": status, "error": error}
        return judge(mesh, changed(measured, "stranger", "urls", number, value=answer))

    kept, broken = verdict(right), verdict(wrong)
    assert (kept["problems"], kept["ok"]) == ([], True)
    assert any(reason in line for line in broken["problems"]), broken["problems"]


def test_a_service_that_fails_is_no_refusal() -> None:
    mesh = model(**nas(BLOG | {"basic_auth": ["alice"]}, users={"alice": HASH}))
    measured = measure(mesh)
    number = next(n for n, each in enumerate(measured["stranger"]["urls"]) if "blog" in each["url"])
    result = judge(mesh, changed(measured, "stranger", "urls", number, "status", value=503))
    assert any("does not serve stranger: status 503" in line for line in result["problems"])


@pytest.mark.parametrize("service", [DB, GAME])
def test_a_stream_that_is_not_for_the_stranger_must_not_open(service: dict[str, t.Any]) -> None:
    mesh = model(**nas(service | {"allow": ["192.0.2.0/24"]}))
    measured = measure(mesh)
    result = judge(mesh, measured)
    assert any("serves stranger, who is not among 192.0.2.0/24" in line for line in result["problems"])
    number = next(n for n, each in enumerate(measured["stranger"]["streams"]) if each["name"] == service["name"])
    assert judge(mesh, changed(measured, "stranger", "streams", number, "open", value=False))["problems"] == []


def test_from_where_a_controller_comes_nobody_knows() -> None:
    mesh = model(**nas(BLOG | {"allow": ["192.0.2.0/24"]}), groups={"strangers": []})
    measured = measure(mesh)
    number = next(n for n, each in enumerate(measured["controller"]["urls"]) if "blog" in each["url"])
    found = changed(measured, "controller", "urls", number, "status", value=403)
    result = judge(mesh, found, controller=found["controller"])
    assert (result["problems"], len(result["not_measured"])) == ([], 1)
