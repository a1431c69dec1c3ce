# SPDX-License-Identifier: MIT
"""A gateway without certificates gets them from a certificate authority, here one that runs beside the stranger.

The names are known to a DNS server there, which takes updates with a key.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shlex
import time
import typing as t
from pathlib import Path

import pytest
import yaml
from world import run, wait_until

from fleet.authority import write_private
from tests.pebble import prepare

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from world import Fleet

NAME = "stranger.wm.test"
SERVICE = "hello.wm.test"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
KEPT = "/run/ca-certificates.kept"
KNOT = "/usr/sbin/knotd"
CONFIGURATION = """\
server:
    rundir: {place}
    listen: 0.0.0.0@53
key:
  - id: gateway
    algorithm: hmac-sha256
    secret: {key}
acl:
  - id: challenges
    key: gateway
    action: update
    update-type: TXT
database:
    storage: {place}
zone:
  - domain: wm.test
    storage: {place}
    file: zone
    acl: challenges
"""
ZONE = """\
$ORIGIN wm.test.
$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A {server}
* A {gateway}
"""
SECRET = "/etc/caddy/certificates/acme-dns.secret"  # noqa: S105 - where it is
ROOT_OF_EDGE = "/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt"
PLACES = "/run/said /etc /var/lib/wonder-mesh"
INTERNAL = "tunless.wm.test"
PATIENCE = 40  # seconds for a certificate
STARTED = 60  # seconds for the DNS server


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the key with which DNS may be changed."""
    path = tmp_path_factory.mktemp("key") / "tsig"
    write_private(path, base64.b64encode(os.urandom(32)).decode() + "\n")
    return path


@pytest.fixture(scope="module")
def dns(demo: Fleet, key: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server of wm.test, beside the stranger."""
    place = tmp_path_factory.mktemp("knot")
    look_up = (
        f"getent ahostsv4 {NAME} | cut -d ' ' -f 1 | head -1; getent ahostsv4 edge.wm.test | cut -d ' ' -f 1 | head -1"
    )
    server, gateway = run(demo.host("stranger"), look_up).stdout.split()
    (place / "zone").write_text(ZONE.format(server=server, gateway=gateway), encoding="utf-8")
    write_private(place / "knot.conf", CONFIGURATION.format(place=place, key=key.read_text(encoding="utf-8").strip()))
    with (
        (place / "log").open("w", encoding="utf-8") as log,
        demo.started_inside("stranger", [KNOT, "--config", str(place / "knot.conf")], log),
    ):
        # It may take seconds, and an authority that asks before has found that the name is not there.
        wait_until(STARTED, lambda: "server started" in (place / "log").read_text(encoding="utf-8"))
        yield server
        print((place / "log").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def authority(demo: Fleet, dns: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of its directory, which the gateway trusts; the stranger knows what it signs with."""
    place = tmp_path_factory.mktemp("pebble")
    pebble = prepare(place, NAME, ("0.0.0.0:14000", "0.0.0.0:15000"), (80, 443))
    command = ["env", "PEBBLE_VA_NOSLEEP=1", *pebble.command, "-dnsserver", f"{dns}:53"]
    with (place / "log").open("w", encoding="utf-8") as log, demo.started_inside("stranger", command, log):
        try:
            trust(demo, pebble.front)
            roots = "curl --silent --insecure --fail --retry 9 --retry-connrefused https://localhost:15000/roots/0"
            assert run(demo.host("stranger"), f"timeout 30 {roots} > /run/pebble.pem").rc == 0
            yield f"https://{NAME}:14000/dir"
        finally:
            print((place / "log").read_text(encoding="utf-8"))
            run(demo.host("edge"), f"test -e {KEPT} && mv {KEPT} {BUNDLE}")


def trust(demo: Fleet, certificate: str) -> None:
    """Let the gateway's system trust it; Caddy reads that when it starts."""
    edge = demo.host("edge")
    append = f"cp --preserve {BUNDLE} {KEPT} && echo {shlex.quote(certificate)} >> {BUNDLE}"
    assert run(edge, f"{append} && timeout 20 systemctl restart caddy").rc == 0


@pytest.fixture(scope="module")
def without_certificates(demo: Fleet, authority: str) -> Iterator[None]:
    """The gateway has no certificate but those that it gets."""
    settings = {"caddy_certificates": [], "caddy_acme_ca": authority}
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: demo.play("site.yml", "--limit", "edge", "--tags", "caddy"))
        stack.callback(lambda: run(demo.host("edge"), "rm --recursive --force /var/lib/caddy/.local/share/caddy"))
        began = time.monotonic()
        assert demo.play("site.yml", "--limit", "edge", "--tags", "caddy", variables=settings).status == 0
        print(f"the play took {time.monotonic() - began:.1f} s")
        yield


def ask(demo: Fleet, name: str, root: str) -> str:
    """What a stranger that trusts this root sees of a name, as soon as it is served."""
    curl = f"curl --silent --cacert {root} --max-time 5 --verbose --connect-to ::edge.wm.test:443 https://{name}/ 2>&1"
    command = f"for i in $(seq {PATIENCE}); do {curl} && break; sleep 1; done"
    return run(demo.host("stranger"), f"timeout {2 * PATIENCE} bash -c {shlex.quote(command)}").stdout


@pytest.mark.usefixtures("without_certificates")
def test_a_gateway_gets_a_certificate_for_a_service_by_itself(demo: Fleet) -> None:
    said = ask(demo, SERVICE, "/run/pebble.pem")
    assert "issuer: CN=Pebble Intermediate CA" in said
    assert "This page is served by" in said


@pytest.fixture(scope="module")
def by_dns(
    demo: Fleet,
    authority: str,
    dns: str,
    key: Path,
    without_certificates: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """What the run said by which the gateway has a wildcard, and a certificate of its own authority for one service."""
    inventory = yaml.safe_load(demo.inventory.read_text(encoding="utf-8"))
    for service in inventory["all"]["hosts"]["mini-2"]["mesh_services"]:
        if service["host"] == INTERNAL:
            service["certificate"] = "internal"
    path = tmp_path_factory.mktemp("inventory") / "hosts.yml"
    path.write_text(yaml.safe_dump(inventory), encoding="utf-8")
    settings = {
        "caddy_certificates": [],
        "caddy_acme_ca": authority,
        "caddy_acme_dns": {"provider": "rfc2136", "server": dns, "key_name": "gateway", "resolvers": [dns]},
        "caddy_acme_dns_secret_file": str(key),
        "caddy_acme_wildcards": ["*.wm.test"],
    }
    arguments = ("--limit", "edge", "--tags", "caddy", "--diff", "-vvv")
    play = demo.play("site.yml", *arguments, variables=settings, inventory=path)
    assert play.status == 0
    return play.output


@pytest.mark.usefixtures("by_dns")
def test_a_gateway_gets_a_certificate_for_all_names_of_a_domain_by_dns(demo: Fleet) -> None:
    end = time.monotonic() + PATIENCE
    said = ""
    while 'matched cert\'s "*.wm.test"' not in said and time.monotonic() < end:
        said = ask(demo, SERVICE, "/run/pebble.pem")
    assert 'matched cert\'s "*.wm.test"' in said
    assert "issuer: CN=Pebble Intermediate CA" in said
    assert "This page is served by" in said


@pytest.mark.usefixtures("by_dns")
def test_a_service_can_have_a_certificate_of_the_gateway_s_own_authority(demo: Fleet) -> None:
    root = run(demo.host("edge"), f"cat {ROOT_OF_EDGE}").stdout
    run(demo.host("stranger"), f"echo {shlex.quote(root)} > /run/edge.pem")
    said = ask(demo, INTERNAL, "/run/edge.pem")
    assert "issuer: CN=Caddy Local Authority" in said
    assert "This page is served by" in said


def test_the_key_for_dns_is_in_a_file_that_only_caddy_reads(demo: Fleet, by_dns: str, key: Path) -> None:
    edge, secret = demo.host("edge"), key.read_text(encoding="utf-8").strip()
    assert run(edge, f"stat --format '%a %U %G' {SECRET}").stdout == "400 caddy caddy\n"
    assert edge.file(SECRET).content_string.strip() == secret
    found = run(
        edge,
        f"journalctl --no-pager > /run/said; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null >> /run/said;"
        f" timeout 60 grep --recursive --files-with-matches --fixed-strings --file={SECRET} {PLACES}",
    ).stdout
    assert found.splitlines() == [SECRET]
    assert secret not in by_dns
