# SPDX-License-Identifier: MIT
"""Certificates by DNS and wildcards: what is refused, and that no secret is ever said."""

from __future__ import annotations

import re
import typing as t

import pytest

from tests.unit.plugins.plugin_utils.mesh_world import RECORDS, build, model, read_file, world

KEY = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ="
TOKEN = "s3cret-token_0123456789-0123456789-012345"  # noqa: S105 - of nobody
RFC2136 = {"provider": "rfc2136", "server": "203.0.113.53", "key_name": "gateway"}
PLACEHOLDER = "{env.CLOUDFLARE_API_TOKEN_OF_OURS_HERE}"
CLOUDFLARE = {"provider": "cloudflare"}


def edge(files: dict[str, bytes] | None = None, **variables: t.Any) -> dict[str, t.Any]:
    """The demo with these on its gateway, names of variables without caddy_acme_."""

    def read(path: str) -> bytes:
        return files[path] if files and path in files else read_file(path)

    return {
        "hosts": {"edge": {f"caddy_acme_{name}": value for name, value in variables.items()}},
        "around": world(RECORDS, read),
    }


RIGHT = {
    "rfc2136": edge(dns=RFC2136, dns_secret=KEY),
    "all of rfc2136": edge(
        dns={
            **RFC2136,
            "server": "[2001:db8::53]:5353",
            "algorithm": "hmac-sha512",
            "resolvers": ["ns.example.com:53"],
        },
        dns_secret=KEY,
    ),
    "cloudflare": edge(dns=CLOUDFLARE, dns_secret=TOKEN, wildcards=["*.example.com"]),
    "file": edge({"key": KEY.encode() + b"\n"}, dns=RFC2136, dns_secret_file="key"),  # noqa: S106 - a file
    "nothing": edge(dns={}, dns_secret="", dns_secret_file="", wildcards=[]),
}


@pytest.mark.parametrize("name", RIGHT)
def test_is_accepted(name: str) -> None:
    assert build(**RIGHT[name]).problems == []


WRONG: dict[str, tuple[dict[str, t.Any], str]] = {
    "provider": (edge(dns={"provider": "route53"}, dns_secret=KEY), r"dns\.provider: found \"route53\": there is no"),
    "no provider": (edge(dns={"server": "203.0.113.53"}), r"dns\.provider: found nothing"),
    "no server": (
        edge(dns={"provider": "rfc2136", "key_name": "gateway"}, dns_secret=KEY),
        r"dns\.server: found nothing: rfc2136 needs it",
    ),
    "server": (edge(dns={**RFC2136, "server": "a b"}, dns_secret=KEY), r'dns\.server: found "a b"'),
    "server port": (edge(dns={**RFC2136, "server": "203.0.113.53:0"}, dns_secret=KEY), r"dns\.server: "),
    "server v6": (edge(dns={**RFC2136, "server": "[203.0.113.53]:53"}, dns_secret=KEY), r"dns\.server: "),
    "key name": (edge(dns={**RFC2136, "key_name": "{env.HOME}"}, dns_secret=KEY), r"dns\.key_name: "),
    "algorithm": (edge(dns={**RFC2136, "algorithm": "md5"}, dns_secret=KEY), r"algorithm: .*Use hmac-sha256"),
    "resolvers": (edge(dns={**CLOUDFLARE, "resolvers": "1.1.1.1"}, dns_secret=TOKEN), r"resolvers: .*list of DNS"),
    "no secret": (edge(dns=RFC2136), r"dns_secret: found nothing: rfc2136 needs a TSIG key"),
    "two secrets": (
        edge({"key": KEY.encode()}, dns=RFC2136, dns_secret=KEY, dns_secret_file="key"),  # noqa: S106
        r"dns_secret: found \"\(hidden\)\": caddy_acme_dns_secret_file is set too",
    ),
    "secret for nothing": (edge(dns_secret=KEY), r"dns_secret: found \"\(hidden\)\": no DNS provider is named"),
    "secret with newline": (
        edge(dns=RFC2136, dns_secret=f"{KEY}\n"),
        r"dns_secret: found \"\(hidden\)\": it must be a",
    ),
    "no base64": (edge(dns=RFC2136, dns_secret=TOKEN), r"dns_secret: found \"\(hidden\)\": it is no TSIG key"),
    "no token": (edge(dns=CLOUDFLARE, dns_secret=f"Bearer {TOKEN}"), r"\"\(hidden\)\": it is no API token"),
    "placeholder": (edge(dns=CLOUDFLARE, dns_secret=PLACEHOLDER), r"it is no API token"),
    "secret in its provider": (
        edge(dns={**CLOUDFLARE, "api_token": TOKEN}, dns_secret=TOKEN),
        r"dns\.api_token: found \"\(hidden\)\": cloudflare has no such key.*the secret is caddy_acme_dns_secret",
    ),
    "no file": (edge(dns=RFC2136, dns_secret_file="key"), r'dns_secret_file: found "key": the file cannot be'),  # noqa: S106
    "two lines": (
        edge({"key": f"{KEY}\n{KEY}\n".encode()}, dns=RFC2136, dns_secret_file="key"),  # noqa: S106
        r'dns_secret_file: found "key": it holds no TSIG key in base64, on one line and with nothing else',
    ),
    "wildcard without dns": (
        edge(wildcards=["*.example.com"]),
        r"wildcards: .*to whom its DNS is\. Set caddy_acme_dns",
    ),
    "no wildcard": (
        edge(dns=CLOUDFLARE, dns_secret=TOKEN, wildcards=["hello.example.com"]),
        r'wildcards: found "hello\.example\.com": it is no domain with a star',
    ),
    "whole top level": (edge(dns=CLOUDFLARE, dns_secret=TOKEN, wildcards=["*.com"]), "no domain with a star before it"),
    "wildcard of nobody": (
        edge(dns=CLOUDFLARE, dns_secret=TOKEN, wildcards=["*.apps.example.com"]),
        r"none of the names that are served here is one of them: hello\.example\.com",
    ),
    "token in the provider's place": (edge(dns=TOKEN), r"dns: found \"\(hidden\)\": it must be a mapping"),
    "misspelt": (
        {"hosts": {"edge": {"caddy_acme_dns_secrets": TOKEN}}},
        r'dns_secrets: found "\(hidden\)": there is no such variable',
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_refused_with_where_and_why(name: str) -> None:
    changes, message = WRONG[name]
    assert any(re.search(f"edge: caddy_acme_.*{message}", line) for line in build(**changes).problems)


@pytest.mark.parametrize("name", WRONG)
def test_no_refusal_says_the_secret(name: str) -> None:
    said = "\n".join(build(**WRONG[name][0]).problems)
    assert said
    assert not re.search(f"{re.escape(KEY)}|{TOKEN}", said)


def test_the_secret_is_no_part_of_the_model() -> None:
    assert KEY not in str(model(**RIGHT["rfc2136"]))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"certificate": "mine"}], r'\.certificate: found "mine": it is no choice\. Use auto or internal'),
        ([{"certificate": ["internal"]}], r"\.certificate: .*it is no choice"),
        ([{"protocol": "tls", "certificate": "internal"}], r"\.certificate: .*of protocol tls has none"),
        (
            [{"certificate": "internal"}, {"name": "b", "path": "/b"}],
            r'services\.b\.certificate: found "auto": nas has internal for a under the same name, a\.example\.com',
        ),
    ],
)
def test_a_wrong_certificate_of_a_service_is_refused(entries: list[dict[str, t.Any]], message: str) -> None:
    services = [{"name": "a", "host": "a.example.com", "port": 8000, **entry} for entry in entries]
    records = world(RECORDS | {"a.example.com": ["203.0.113.11"]})
    problems = build(hosts={"nas": {"mesh_services": services}}, around=records).problems
    assert any(re.search(f"nas: mesh_.*{message}", line) for line in problems)
