# SPDX-License-Identifier: MIT

from __future__ import annotations

import dataclasses
import datetime
import functools
import typing as t

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.plugins.plugin_utils.mesh_world import HELLO, NOW, RECORDS, build, model, read_file, world

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.wonder.mesh.plugins.plugin_utils._model import Outcome

DAY = datetime.timedelta(days=1)
Key = ec.EllipticCurvePrivateKey


@functools.cache
def key(number: int) -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def pem(private: Key, password: bytes = b"") -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def certificate(*names: str, private: Key | None = None, start: datetime.timedelta = -DAY) -> bytes:
    """A certificate that is valid for two days from the start on, which is counted from now."""
    private = private or key(1)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(NOW + start)
        .not_valid_after(NOW + start + 2 * DAY)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), False)
    return builder.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def files(**content: bytes) -> Callable[[str], bytes]:
    return lambda path: content[path] if path in content else read_file(path)


def outcome(read: Callable[[str], bytes], host: str = "edge") -> Outcome:
    hosts = {host: {"caddy_certificates": [{"certificate": "cert", "key": "key"}]}}
    return build(hosts=hosts, around=world(RECORDS, read))


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("edge", ["hello.example.com"]),
        ("edge", ["*.example.com"]),
        ("edge", ["HELLO.example.com", "other.example.org"]),
        ("hub", ["hub.example.com"]),
    ],
)
def test_a_good_certificate_is_accepted(host: str, names: list[str]) -> None:
    assert outcome(files(cert=certificate(*names), key=pem(key(1))), host).problems == []


WRONG: dict[str, tuple[Callable[[], dict[str, bytes]], str]] = {
    "no file": (dict, r"certificate: found \"cert\": the file cannot be read: No such file"),
    "no key file": (lambda: {"cert": certificate("hello.example.com")}, r"\.key: .*cannot be read"),
    "no certificate": (lambda: {"cert": b"hello", "key": pem(key(1))}, "holds no certificate in PEM"),
    "key for certificate": (lambda: {"cert": pem(key(1)), "key": pem(key(1))}, "holds no certificate in PEM"),
    "expired": (
        lambda: {"cert": certificate("hello.example.com", start=-9 * DAY), "key": pem(key(1))},
        "it expired on 2026-11-15",
    ),
    "too early": (
        lambda: {"cert": certificate("hello.example.com", start=DAY), "key": pem(key(1))},
        "not valid before 2026-11-23 00:00 UTC",
    ),
    "other key": (lambda: {"cert": certificate("hello.example.com"), "key": pem(key(2))}, "not the key of cert"),
    "no key": (lambda: {"cert": certificate("hello.example.com"), "key": b"hello"}, "no private key in PEM"),
    "locked key": (
        lambda: {"cert": certificate("hello.example.com"), "key": pem(key(1), b"secret")},
        "no private key in PEM without a password",
    ),
    "other name": (
        lambda: {"cert": certificate("a.example.com"), "key": pem(key(1))},
        "it is for a.example.com, and none of that is served here",
    ),
    "wildcard too deep": (lambda: {"cert": certificate("*.com"), "key": pem(key(1))}, "none of that is served here"),
    "no name": (lambda: {"cert": certificate(), "key": pem(key(1))}, "it is for no name"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_certificate_is_refused(name: str) -> None:
    content, message = WRONG[name]
    found = outcome(files(**content()))
    assert len(found.problems) == (2 if name == "no file" else 1)
    with pytest.raises(AssertionError, match=f"edge: caddy_certificates.*{message}"):
        raise AssertionError(found.problems[0])


def test_a_name_cannot_have_both_a_file_and_the_gateway_s_own_authority() -> None:
    hosts: dict[str, dict[str, t.Any]] = {name: {"mesh_services": []} for name in ("mini-1", "mini-2")}
    service = {"name": "hello", "port": 8000, "host": "hello.example.com", "certificate": "internal"}
    hosts |= {"nas": {"mesh_services": [service]}, "edge": {"caddy_certificates": [{"certificate": "c", "key": "k"}]}}

    def problems(name: str) -> list[str]:
        return build(hosts=hosts, around=world(RECORDS, files(c=certificate(name), k=pem(key(1))))).problems

    assert problems("*.example.com") == []
    (line,) = problems("hello.example.com")
    assert line.startswith('edge: caddy_certificates[0].certificate: found "c": hello.example.com is to have one of')


def test_a_name_without_a_certificate_is_left_to_automatic_https() -> None:
    services = [{"name": name, "port": 8000, "host": f"{name}.example.com"} for name in ("hello", "other")]
    model(
        hosts={
            "edge": {"caddy_certificates": [{"certificate": "cert", "key": "key"}]},
            "mini-1": {"mesh_services": services},
            "mini-2": {"mesh_services": []},
        },
        around=world(
            RECORDS | {"other.example.com": ["203.0.113.11"]},
            files(cert=certificate("hello.example.com"), key=pem(key(1))),
        ),
    )


def test_a_gateway_without_services_may_have_any_certificate() -> None:
    hosts: dict[str, dict[str, t.Any]] = {name: {"mesh_services": []} for name in ("mini-1", "mini-2")}
    hosts["edge"] = {"caddy_certificates": [{"certificate": "cert", "key": "key"}]}
    model(hosts=hosts, around=world(RECORDS, files(cert=certificate("a.example.com"), key=pem(key(1)))))


def names_looked_up(**changes: t.Any) -> set[str]:
    """The names that DNS is asked for."""
    around = changes.pop("around", world())
    asked: set[str] = set()

    def resolve(names: t.Any) -> dict[str, list[str]]:
        asked.update(names)
        return dict(around.resolve(names))

    assert build(**changes, around=dataclasses.replace(around, resolve=resolve)).problems == []
    return asked


def test_the_name_of_a_service_is_looked_up_only_where_a_public_authority_is_asked() -> None:
    assert "hello.example.com" in names_looked_up()
    internal = {name: {"mesh_services": [{**HELLO, "certificate": "internal"}]} for name in ("mini-1", "mini-2")}
    assert "hello.example.com" not in names_looked_up(hosts=internal)
    pair = {"caddy_certificates": [{"certificate": "c", "key": "k"}]}
    content = {"c": certificate("hello.example.com"), "k": pem(key(1))}
    given = names_looked_up(hosts={"edge": pair}, around=world(read=content.__getitem__))
    assert given == {"hub.example.com"}
