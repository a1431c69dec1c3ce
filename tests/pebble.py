# SPDX-License-Identifier: MIT
"""Pebble, a certificate authority for tests, built from its pin."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs
from fleet.authority import Authority, write_private

PINS = Path(__file__).parent / "fleet" / "pebble"
PACKAGE = "github.com/letsencrypt/pebble/v2/cmd/pebble"


class Pebble(t.NamedTuple):
    command: list[str]  # starts it; it takes further options
    front: str  # the certificate that whoever asks it must trust


def prepare(place: Path, name: str, listen: tuple[str, str], ports: tuple[int, int]) -> Pebble:
    """Build it, and write its files to this directory.

    name: its own, in DNS. listen: addresses with ports at which it answers and is managed. ports: those at which it
    asks gateways, by HTTP and by TLS.
    """
    build = ["go", "build", *_programs.BUILD_FLAGS, "-o", str(place / "pebble"), PACKAGE]
    # As the programs are built, so that most of it is in Go's cache.
    subprocess.run(build, cwd=PINS, env=os.environ | _programs.BUILD_ENVIRONMENT, check=True, timeout=600)
    front = Authority("the front of pebble")
    certificate, key = front.issue([name])
    write_private(place / "cert.pem", certificate)
    write_private(place / "key.pem", key)
    settings = {
        "listenAddress": listen[0],
        "managementListenAddress": listen[1],
        "certificate": str(place / "cert.pem"),
        "privateKey": str(place / "key.pem"),
        "httpPort": ports[0],
        "tlsPort": ports[1],
        "profiles": {"default": {"description": "as usual", "validityPeriod": 7776000}},
    }
    (place / "pebble.json").write_text(json.dumps({"pebble": settings}), encoding="utf-8")
    return Pebble([str(place / "pebble"), "-config", str(place / "pebble.json")], front.certificate)
