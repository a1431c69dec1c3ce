#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stands in for limactl 2.2.0: keeps its machines in LIMA_HOME, and notes how it was called."""

import json
import os
import sys
from pathlib import Path

HOME = Path(os.environ["LIMA_HOME"])
ARGUMENTS = sys.argv[2:]  # the first is --tty=false


def machine(name: str, status: str) -> None:
    place = HOME / name
    place.mkdir(parents=True, exist_ok=True)
    line = {
        "name": name,
        "hostname": f"lima-{name}",
        "status": status,
        "dir": str(place),
        "vmType": "qemu",
        "arch": "x86_64",
        "cpus": 1,
        "memory": 1073741824,
        "disk": 10737418240,
        "sshLocalPort": 40000 + len(name),
        "sshConfigFile": str(place / "ssh.config"),
        "sshAddress": "127.0.0.1",
        "limaVersion": "2.2.0",
    }
    (place / "line").write_text(json.dumps(line))


with Path(os.environ["FAKE_CALLS"]).open("a") as calls:
    calls.write(" ".join(ARGUMENTS) + "\n")
if ARGUMENTS[0] == "--version":
    print(f"limactl version {os.environ.get('FAKE_VERSION', '2.2.0')}")
elif ARGUMENTS[0] == "list":
    for path in sorted(HOME.glob("*/line")):
        print(path.read_text())
elif ARGUMENTS[0] == "start":
    name = next((each[7:] for each in ARGUMENTS if each.startswith("--name=")), ARGUMENTS[-1])
    if name in os.environ.get("FAKE_FAILS", "").split():
        machine(name, "Broken")
        (HOME / name / "serial.log").write_text("booting\nno medium found\n")
        print("fatal: did not receive an event with the running status", file=sys.stderr)
        sys.exit(1)
    (HOME / "_config").mkdir(exist_ok=True)
    (HOME / "_config" / "user").write_text("key")
    machine(name, "Running")
elif ARGUMENTS[0] == "delete":
    for path in (HOME / ARGUMENTS[-1]).iterdir():
        path.unlink()
    (HOME / ARGUMENTS[-1]).rmdir()
