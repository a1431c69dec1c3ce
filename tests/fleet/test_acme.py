# SPDX-License-Identifier: MIT
"""A gateway without certificates gets them from a certificate authority, here one that runs beside the stranger."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from world import run

from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs
from fleet.authority import Authority, write_private

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from world import Fleet

PINS = Path(__file__).with_name("pebble")
PEBBLE = "github.com/letsencrypt/pebble/v2/cmd/pebble"
NAME = "stranger.wm.test"
SERVICE = "hello.wm.test"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
KEPT = "/run/ca-certificates.kept"
PATIENCE = 40  # seconds for a certificate
ASK = (
    f"for i in $(seq {PATIENCE}); do"
    f" curl --silent --cacert /run/pebble.pem --max-time 5 --verbose https://{SERVICE}/ 2>&1 && break; sleep 1; done"
)


@pytest.fixture(scope="module")
def authority(demo: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of its directory, which the gateway trusts; the stranger knows what it signs with."""
    place = tmp_path_factory.mktemp("pebble")
    build = ["go", "build", *_programs.BUILD_FLAGS, "-o", str(place / "pebble"), PEBBLE]
    # As the programs are built, so that most of it is in Go's cache.
    subprocess.run(build, cwd=PINS, env=os.environ | _programs.BUILD_ENVIRONMENT, check=True, timeout=600)
    front = Authority("the front of pebble")
    certificate, key = front.issue([NAME])
    write_private(place / "cert.pem", certificate)
    write_private(place / "key.pem", key)
    settings = {
        "listenAddress": "0.0.0.0:14000",
        "managementListenAddress": "0.0.0.0:15000",
        "certificate": str(place / "cert.pem"),
        "privateKey": str(place / "key.pem"),
        "httpPort": 80,
        "tlsPort": 443,
        "profiles": {"default": {"description": "as usual", "validityPeriod": 7776000}},
    }
    (place / "pebble.json").write_text(json.dumps({"pebble": settings}), encoding="utf-8")
    command = ["env", "PEBBLE_VA_NOSLEEP=1", str(place / "pebble"), "-config", str(place / "pebble.json")]
    with (place / "log").open("w", encoding="utf-8") as log, demo.started_inside("stranger", command, log):
        try:
            trust(demo, front.certificate)
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
        stack.callback(lambda: run(demo.host("edge"), "rm --recursive --force /var/lib/caddy/.local/share/caddy/acme"))
        began = time.monotonic()
        assert demo.play("site.yml", "--limit", "edge", "--tags", "caddy", variables=settings).status == 0
        print(f"the play took {time.monotonic() - began:.1f} s")
        yield


@pytest.mark.usefixtures("without_certificates")
def test_a_gateway_gets_a_certificate_for_a_service_by_itself(demo: Fleet) -> None:
    said = run(demo.host("stranger"), f"timeout {2 * PATIENCE} bash -c {shlex.quote(ASK)}").stdout
    assert "issuer: CN=Pebble Intermediate CA" in said
    assert "This page is served by" in said
