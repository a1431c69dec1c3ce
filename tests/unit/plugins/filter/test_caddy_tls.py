# SPDX-License-Identifier: MIT
"""Where the certificates of a gateway come from, in Caddy's own configuration."""

from __future__ import annotations

import typing as t

from ansible_collections.wonder.mesh.plugins.filter.caddy_config import caddy_config
from ansible_collections.wonder.mesh.plugins.filter.caddy_files import caddy_files
from ansible_collections.wonder.mesh.plugins.plugin_utils._plan import plan
from tests.unit.plugins.plugin_utils.mesh_world import HELLO, RECORDS, model, world

RFC2136 = {"provider": "rfc2136", "server": "203.0.113.53", "key_name": "gateway"}
FILE = "/etc/caddy/certificates/acme-dns.secret"
INNER = {"name": "inner", "host": "inner.example.com", "port": 8080, "certificate": "internal"}


def apps(**settings: t.Any) -> dict[str, t.Any]:
    return caddy_config(model(), "edge", **settings)["apps"]


def challenge(**dns: t.Any) -> dict[str, t.Any]:
    policies = apps(acme_dns=dns, acme_secret=FILE)["tls"]["automation"]["policies"]
    (issuer,) = (issuer for policy in policies for issuer in policy["issuers"])
    return issuer["challenges"]["dns"]


def inner() -> t.Any:
    records = world(RECORDS | {"inner.example.com": ["203.0.113.11"]})
    return model(hosts={"nas": {"mesh_services": [INNER]}}, around=records)


def test_a_server_of_rfc_2136_is_asked_with_the_key_from_its_file() -> None:
    assert challenge(**RFC2136) == {
        "provider": {
            "name": "rfc2136",
            "server": "203.0.113.53:53",
            "key_name": "gateway",
            "key_alg": "hmac-sha256",
            "key": f"{{file.{FILE}}}",
        }
    }


def test_what_is_said_of_the_provider_is_kept() -> None:
    found = challenge(
        **RFC2136 | {"server": "2001:db8::53", "algorithm": "hmac-sha512", "resolvers": ["ns.example.com"]}
    )
    assert (found["provider"]["server"], found["provider"]["key_alg"]) == ("[2001:db8::53]:53", "hmac-sha512")
    assert found["resolvers"] == ["ns.example.com:53"]


def test_cloudflare_gets_its_token_from_the_file() -> None:
    provider = {"name": "cloudflare", "api_token": f"{{file.{FILE}}}"}
    assert challenge(provider="cloudflare") == {"provider": provider}


def test_a_wildcard_is_got_as_it_is_named() -> None:
    found = apps(acme_dns=RFC2136, acme_secret=FILE, acme_wildcards=["*.B.example.com", "*.a.example.com"])
    assert found["tls"]["certificates"] == {"automate": ["*.a.example.com", "*.b.example.com"]}


def test_an_internal_service_has_a_certificate_of_the_gateway_and_all_others_one_by_acme() -> None:
    found = caddy_config(inner(), "edge", acme_email="a@example.com")["apps"]
    assert found["tls"]["automation"]["policies"] == [
        {"subjects": ["inner.example.com"], "issuers": [{"module": "internal"}]},
        {"issuers": [{"module": "acme", "email": "a@example.com"}]},
    ]
    assert found["tls"]["certificates"] == {"automate": ["inner.example.com"]}


def test_the_gateway_s_own_authority_is_not_put_into_its_store() -> None:
    found = caddy_config(inner(), "edge")["apps"]["pki"]
    assert found == {"certificate_authorities": {"local": {"install_trust": False}}}
    assert "pki" not in apps()


def test_the_coordinator_alone_has_no_certificates_for_services() -> None:
    assert caddy_config(inner(), "hub")["apps"]["tls"] == {}


def test_the_proof_knows_that_no_store_has_the_gateway_s_own_authority() -> None:
    private = {each["url"]: each.get("private", False) for each in plan(inner(), "stranger")["urls"]}
    assert private["https://inner.example.com/"]
    assert not private[f"https://{HELLO['host']}/"]


def test_the_secret_is_a_file_that_only_caddy_reads() -> None:
    common = {"owner": "caddy", "group": "caddy", "mode": "0400", "on_change": "reload", "secret": True}
    found = caddy_files([], "/etc/caddy/certificates", "the secret")
    assert found == {"files": [{"path": FILE, "content": "the secret", **common}], "certificates": [], "secret": FILE}
    found = caddy_files([], "/etc/caddy/certificates", secret_file="~/key")  # noqa: S106 - a path
    assert found["files"] == [{"path": FILE, "source": "~/key", **common}]


def two(**changes: t.Any) -> t.Any:
    """A mesh in which a second gateway serves the same names."""
    nodes = ["edge", "hub", "mini-1", "mini-2", "laptop"]
    return model(groups={"gateways": ["edge", "hub"], "nodes": nodes}, **changes)


def test_of_two_gateways_each_asks_the_other_for_what_it_does_not_know_itself() -> None:
    everywhere = {"mesh_dns_check": "warn"}
    found = caddy_config(two(everywhere=everywhere), "hub")["apps"]
    first = found["http"]["servers"]["http"]["routes"][0]
    (asked,) = first["handle"]
    assert first["match"][0]["path"] == ["/.well-known/acme-challenge/*"]
    assert asked["routes"][0]["handle"][0]["upstreams"] == [{"dial": "203.0.113.11:80"}]
    (issuer,) = found["tls"]["automation"]["policies"][0]["issuers"]
    assert issuer == {"module": "acme", "challenges": {"tls-alpn": {"disabled": True}}}


def test_gateways_that_prove_by_dns_ask_each_other_nothing() -> None:
    mesh = two(everywhere={"mesh_dns_check": "warn"})
    found = caddy_config(mesh, "hub", acme_dns=RFC2136, acme_secret=FILE)["apps"]
    assert "acme-challenge" not in str(found["http"])


def test_a_gateway_alone_asks_nobody_and_may_answer_as_it_likes() -> None:
    found = apps()
    assert "acme-challenge" not in str(found["http"])
    assert "automation" not in found["tls"]
