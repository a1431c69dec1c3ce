#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stands in for limactl 2.2.0: keeps its machines in LIMA_HOME, and notes how it was called.

Of a machine it tells what limactl itself told of one (recorded.jsonl), in FAKE_LINE.
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path

HOME = Path(os.environ["LIMA_HOME"])
ARGUMENTS = sys.argv[2:]  # the first is --tty=false


def machine(name: str, status: str) -> None:
    place = HOME / name
    place.mkdir(parents=True, exist_ok=True)
    own = {
        "name": name,
        "hostname": f"lima-{name}",
        "status": status,
        "dir": str(place),
        "sshLocalPort": 40000 + len(name),
        "sshConfigFile": str(place / "ssh.config"),
    }
    (place / "lima.yaml").write_text("plain: true\n")
    (place / "line").write_text(json.dumps(json.loads(os.environ["FAKE_LINE"]) | own))


with Path(os.environ["FAKE_CALLS"]).open("a") as calls:
    calls.write(" ".join(ARGUMENTS) + "\n")
if ARGUMENTS[0] == "--version":
    print(f"limactl version {os.environ.get('FAKE_VERSION', '2.2.0')}")
elif ARGUMENTS[0] == "list":
    for path in sorted(HOME.glob("*/line")):
        print(path.read_text())
elif ARGUMENTS[0] == "start":
    name = next((each[7:] for each in ARGUMENTS if each.startswith("--name=")), ARGUMENTS[-1])
    if name in os.environ.get("FAKE_HANGS", "").split():
        machine(name, "Installing")
        time.sleep(60)
    if name in os.environ.get("FAKE_FULL", "").split():
        print("fatal: write /x/disk: no space left on device", file=sys.stderr)
        sys.exit(1)
    if name in os.environ.get("FAKE_FAILS", "").split():
        machine(name, "Broken")
        (HOME / name / "serial.log").write_text("booting\nno medium found\n")
        print("fatal: did not receive an event with the running status", file=sys.stderr)
        sys.exit(1)
    (HOME / "_config").mkdir(exist_ok=True)
    (HOME / "_config" / "user").write_text("key")
    machine(name, "Running")
elif ARGUMENTS[0] == "delete":
    if not (HOME / ARGUMENTS[-1] / "lima.yaml").exists():
        print("fatal: exists but its lima.yaml could not be read; it was NOT deleted", file=sys.stderr)
        sys.exit(1)
    shutil.rmtree(HOME / ARGUMENTS[-1])
