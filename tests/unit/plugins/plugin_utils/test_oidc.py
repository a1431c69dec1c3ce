# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
import typing as t

import pytest

from tests.unit.plugins.plugin_utils.mesh_world import build, world

LOGIN = {"issuer": "https://auth.example.com", "client_id": "mesh", "allowed_users": ["alice@example.com"]}
SECRET = "a-secret-that-nobody-sees-4711"  # noqa: S105


def said(read: bytes | None = None, secret: dict[str, t.Any] | None = None, **login: t.Any) -> str:
    """What is wrong with the login, with its secret from a vault, or as given."""
    merged = {key: value for key, value in {**LOGIN, **login}.items() if value is not None}
    variables = {"headscale_oidc": merged, **({"headscale_oidc_secret": SECRET} if secret is None else secret)}

    def content(path: str) -> bytes:
        if read is None:
            raise FileNotFoundError(2, "No such file or directory", path)
        return read

    return "\n".join(build(hosts={"hub": variables}, around=world(read=content)).problems)


FILE = {"headscale_oidc_secret_file": "/srv/mesh/oidc"}


@pytest.mark.parametrize(
    "login",
    [
        {},
        {"allowed_users": None, "allowed_domains": ["example.com"]},
        {"allowed_groups": ["family"], "scopes": ["openid", "email", "groups"], "expiry_days": 0},
        {"issuer": "https://auth.example.com:8443/realms/home"},
        {"issuer": "http://127.0.0.1:9000/oidc"},
    ],
)
def test_a_login_that_can_be_is_taken(login: dict[str, t.Any]) -> None:
    assert said(**login) == ""


def test_the_secret_may_come_from_a_file() -> None:
    assert said(SECRET.encode() + b"\n", FILE) == ""


@pytest.mark.parametrize(
    ("login", "problem"),
    [
        ({"issuer": None}, r"hub: headscale_oidc\.issuer: found nothing: .* Set it like https://auth"),
        ({"issuer": "http://auth.example.com"}, r"\.issuer: .*must be the https address"),
        ({"issuer": "https://me:secret@auth.example.com"}, r"\.issuer: .*must be the https address"),
        ({"issuer": "http://203.0.113.5/oidc"}, r"\.issuer: .*must be the https address"),
        ({"issuer": "auth.example.com"}, r"\.issuer: .*must be the https address"),
        ({"issuer": ["https://auth.example.com"]}, r"\.issuer: .*must be the https address"),
        ({"client_id": None}, r"\.client_id: found nothing: it must be a text"),
        ({"client_id": 7}, r"\.client_id: found 7: it must be a text"),
        (
            {"allowed_users": None},
            r"\.allowed_users: found nothing: whoever has an account at the issuer could join\. Name",
        ),
        ({"allowed_users": []}, r"\.allowed_users: found \[\]: .*a list of such"),
        ({"allowed_users": "alice@example.com"}, r"\.allowed_users: .*Write it like \[alice@example"),
        ({"allowed_users": ["alice@"]}, r"\.allowed_users: found \["),
        ({"allowed_domains": ["@example.com"]}, r"\.allowed_domains: .*Write it like \[example\.com\]"),
        ({"allowed_groups": [[]]}, r"\.allowed_groups: "),
        ({"scopes": ["email"]}, r"\.scopes: .*no login without openid\. Add openid"),
        ({"scopes": ["openid email"]}, r"\.scopes: .*Write it like \[openid, profile"),
        ({"expiry_days": -1}, r"\.expiry_days: found -1: it must be 0 to 3650 days"),
        ({"expiry_days": True}, r"\.expiry_days: found true"),
        ({"colour": "red"}, r"headscale_oidc\.colour: found .*hidden.*: there is no such key\. Use issuer, client_id"),
    ],
)
def test_a_login_that_cannot_be_is_refused(login: dict[str, t.Any], problem: str) -> None:
    assert re.search(problem, said(**login)), said(**login)


@pytest.mark.parametrize(
    ("read", "secret", "problem"),
    [
        (None, {}, r"hub: headscale_oidc_secret: found nothing: .*Set it from a vault, or name a file in"),
        (
            b"x",
            {**FILE, "headscale_oidc_secret": SECRET},
            "headscale_oidc_secret: .*headscale_oidc_secret_file is set too",
        ),
        (None, {"headscale_oidc_secret": f" {SECRET}"}, "headscale_oidc_secret: .*one line of signs"),
        (None, FILE, 'headscale_oidc_secret_file: found "/srv/mesh/oidc": the file cannot be read: No such file'),
        (b"\n", FILE, "headscale_oidc_secret_file: .*does not hold one line"),
        (b"two\nlines", FILE, "headscale_oidc_secret_file: .*does not hold one line"),
    ],
)
def test_a_secret_that_cannot_be_is_refused(read: bytes | None, secret: dict[str, t.Any], problem: str) -> None:
    assert re.search(problem, said(read, secret)), said(read, secret)


def test_a_secret_without_a_login_is_refused() -> None:
    assert "headscale_oidc_secret: " in "\n".join(build(hosts={"hub": {"headscale_oidc_secret": SECRET}}).problems)


@pytest.mark.parametrize(
    ("login", "secret"),
    [
        ({"client_secret": SECRET}, {}),
        ({}, {"headscale_oidc_secret": [SECRET]}),
        ({}, {"headscale_oidc_secret": SECRET + "\n"}),
        ({}, {"headscale_oidc_secret": SECRET, "headscale_oidc_secret_file": "/x"}),
        ({}, {"headscale_oidc_secrets": SECRET}),
        ({}, {"headscale_oidc_client_secret": SECRET}),
    ],
)
def test_the_secret_is_not_said_wherever_it_is(login: dict[str, t.Any], secret: dict[str, t.Any] | None) -> None:
    problems = said(None, secret, **login)
    assert problems
    assert SECRET not in problems
