# SPDX-License-Identifier: MIT
"""Hosts of a fleet that are ansible-runner's workers: what they need for it, and a private data dir that suits them."""

from __future__ import annotations

import functools
import gzip
import importlib.metadata
import os
import shlex
import shutil
import subprocess
import typing as t
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from world import ROOT, run

from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs
from fleet import nat, topology

if t.TYPE_CHECKING:
    from world import Fleet

    from ansible_collections.wonder.mesh.plugins.plugin_utils._cache import Binary

NEEDED = ("ansible-core", "ansible-runner", "cryptography", "jsonschema-rs", "netaddr", "PyYAML", "rich", "segno")
PLACE = "/opt/worker"
SCRIPT = f"""#!/bin/sh
export PYTHONPATH={PLACE}/lib PATH={PLACE}/bin:$PATH LC_ALL=C.UTF-8
exec python3 -m MODULE "$@"
"""
ROLES = {"headscale": "headscale", "caddy": "caddy", "tailscaled": "tailscale"}  # with the name of each one's program


class Workers:
    """Two hosts of the homelab of one VPS, each at home behind a router of its own."""

    def __init__(self, world: Fleet, work: Path) -> None:
        self._world, self._work = world, work
        self._place = world.inventory.parents[1]

    def prepare(self, *names: str) -> None:
        """Put a Python with ansible-runner, the programs, and what Ansible reads, on these hosts."""
        for name in names:
            root = self._place / "hosts" / name / "root" / PLACE.lstrip("/")
            for distribution in _closure(NEEDED):
                for file in distribution.files or ():
                    if ".." not in file.parts and (source := Path(str(file.locate()))).is_file():
                        _copy(source, root / "lib" / file)
            for script, module in (("ansible-playbook", "ansible playbook"), ("ansible-runner", "ansible_runner")):
                path = root / "bin" / script
                path.parent.mkdir(exist_ok=True)
                path.write_text(SCRIPT.replace("MODULE", module), encoding="utf-8")
                path.chmod(0o755)
            for binary in (each for role in ROLES for each in self._binaries(role).values()):
                target = root / "programs" / binary.name
                target.parent.mkdir(exist_ok=True)
                with gzip.open(binary.archive) as packed, target.open("wb") as plain:
                    shutil.copyfileobj(packed, plain)
            for path in (self._place / "certificates").iterdir():
                _copy(path, root / "certificates" / path.name)
                (root / "certificates" / path.name).chmod(0o644)  # whoever works there is no root
            _copy(self._place / "known_hosts", root / "known_hosts")
            (root / "known_hosts").chmod(0o644)

    def restore(self, *names: str) -> None:
        """Take it away again, and what the workers have kept in the cache of their user."""
        for name in names:
            run(self._world.host(name), f"rm -rf {PLACE} ~ops/.cache")

    def command(self, name: str) -> str:
        """At whose end a worker is."""
        return shlex.join(["ssh", "-F", str(self._place / "ssh_config"), name, f"{PLACE}/bin/ansible-runner", "worker"])

    def data_dir(self) -> Path:
        """What is sent: the project with the collection, the inventory as the workers see it, and the key."""
        folder = shutil.copytree(
            ROOT / "runner", self._work / "sent", ignore=shutil.ignore_patterns("artifacts", "README.md")
        )
        (folder / "inventory" / "hosts.yml").write_text(yaml.safe_dump(self._inventory()), encoding="utf-8")
        key = folder / "env" / "ssh_key"
        key.touch(mode=0o600)
        key.write_text((self._place / "id_ed25519").read_text(encoding="ascii"), encoding="ascii")
        place = folder / "project" / "collections"
        own = {**os.environ, "ANSIBLE_HOME": str(self._work / "home"), "ANSIBLE_COLLECTIONS_PATH": str(place)}
        for step in (f"build {ROOT} --output-path .", f"install --offline --collections-path {place} ./*.tar.gz"):
            words = f"ansible-galaxy collection {step}"
            subprocess.run(words, shell=True, cwd=self._work, env=own, check=True, capture_output=True, timeout=120)  # noqa: S602
        return folder

    @functools.cache  # noqa: B019
    def _binaries(self, role: str) -> dict[str, Binary]:
        return _programs.find(ROLES[role]).build(_arch(), print)

    def _inventory(self) -> dict[str, t.Any]:
        """Hosts by their addresses, programs and certificates as files of the worker."""
        data = yaml.safe_load(self._world.inventory.read_text(encoding="utf-8"))
        variables, hosts = data["all"]["vars"], data["all"]["hosts"]
        for name in ("ansible_ssh_private_key_file", "ansible_control_path_dir"):
            del variables[name]
        variables["ansible_ssh_common_args"] = f"-o UserKnownHostsFile={PLACE}/known_hosts"
        for role in ROLES:
            found = self._binaries(role).items()
            files = {name: {"file": f"{PLACE}/programs/{name}", "sha256": each.sha256} for name, each in found}
            variables[f"{role}_program_source"] = {_arch(): files}
        for host in topology.load(self._world.topology, nat.KINDS).hosts:
            hosts[host.name]["ansible_host"] = str(host.address)
            hosts[host.name]["ansible_ssh_extra_args"] = f"-o HostKeyAlias={host.name}"
        where = f"{PLACE}/certificates/vps"
        hosts["vps"]["caddy_certificates"] = [{"certificate": f"{where}.pem", "key": f"{where}.key"}]
        return t.cast("dict[str, t.Any]", data)


def _arch() -> str:
    return _programs.go_arch(os.uname().machine)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def _closure(names: t.Iterable[str]) -> list[importlib.metadata.Distribution]:
    """These distributions of our own Python, and what they need."""
    found: dict[str, importlib.metadata.Distribution] = {}
    wanted = list(names)
    while wanted:
        name = wanted.pop()
        if name.lower() not in found:
            found[name.lower()] = distribution = importlib.metadata.distribution(name)
            needs = [Requirement(line) for line in distribution.requires or ()]
            wanted += [each.name for each in needs if not each.marker or each.marker.evaluate({"extra": ""})]
    return list(found.values())
