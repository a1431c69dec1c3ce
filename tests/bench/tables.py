# SPDX-License-Identifier: MIT
"""Large WireGuard meshes for measuring, and wg-meshconf, which ours is measured against."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from ansible_collections.wonder.mesh.plugins.plugin_utils._inventory import Inventory
from ansible_collections.wonder.mesh.plugins.plugin_utils._values import Problems
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_mesh import read_mesh
from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_registry import Registry

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Host
    from ansible_collections.wonder.mesh.plugins.plugin_utils._wireguard_types import Mesh

HERE = Path(__file__).resolve().parent
LOCK = HERE / "wg-meshconf.txt"
T = t.TypeVar("T")


def cpu(action: t.Callable[[], T], times: int = 3) -> tuple[float, T]:
    """The least CPU seconds of some runs, which others on the machine disturbed least; and the last result."""
    least = float("inf")
    for _ in range(times):
        before = time.process_time()
        result = action()
        least = min(least, time.process_time() - before)
    return least, result


def key(name: str) -> str:
    """A public key, as good as any for who does not use it."""
    return base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()


class World:
    """An inventory with its registry; public: how many have public addresses, hubs: how many of those are hubs."""

    def __init__(self, count: int, public: int, topology: str, hubs: int = 0) -> None:
        self.names = [f"node-{number:05}" for number in range(count)]
        everywhere = {"wireguard_topology": topology, "wireguard_hubs": self.names[:hubs]}
        variables = {
            name: {
                **everywhere,
                "mesh_public_address": f"198.{18 + number // 65536}.{number // 256 % 256}.{number % 256}",
            }
            if number < public
            else {**everywhere, "mesh_home": f"home-{number}", "mesh_nat": "easy"}
            for number, name in enumerate(self.names)
        }
        self.inventory = Inventory.of({"nodes": self.names}, variables)
        self.hosts = {name: host(name, each) for name, each in variables.items()}
        nodes = {name: Registry().record(name, [], key(name)).nodes[name] for name in self.names}
        self.registry = Registry(nodes)

    def read(self) -> Mesh:
        problems = Problems()
        mesh = read_mesh(self.inventory, self.hosts, self.registry, problems)
        assert mesh is not None, problems.lines
        return mesh


def host(name: str, variables: dict[str, t.Any]) -> Host:
    """What the model has of a host, as far as WireGuard looks at it."""
    address = variables.get("mesh_public_address")
    return t.cast(
        "Host",
        {
            "name": name,
            "home": variables.get("mesh_home"),
            "nat": variables.get("mesh_nat", "public" if address else "auto"),
            "public_address": address,
        },
    )


def rival() -> Path:
    """The Python of an environment with wg-meshconf, which lies in the user's cache and is made once for each lock."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wonder-mesh" / "bench"
    version = ".".join(map(str, sys.version_info[:2]))
    place = cache / f"wg-meshconf-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}-{version}"
    if not place.exists():
        cache.mkdir(parents=True, exist_ok=True)
        new = cache / f"{place.name}.{os.getpid()}"  # appears by rename, so a half-made one is never used
        shutil.rmtree(new, ignore_errors=True)
        options = [
            "--isolated",
            "--quiet",
            "--disable-pip-version-check",
            "install",
            "--require-hashes",
            "--only-binary",
        ]
        command = [sys.executable, "-m", "pip", *options, ":all:", "--target", str(new), "--requirement", str(LOCK)]
        subprocess.run(command, check=True, timeout=300)
        new.rename(place)
    return place


def run_rival(mesh: Mesh, folder: Path) -> dict[str, t.Any]:
    """{"cpu": seconds, "keys": {NAME: public key}}; its configurations are in FOLDER/configurations."""
    nodes = [
        {
            "name": node.name,
            "addresses": [f"{each}/{128 if ':' in each else 32}" for each in node.addresses],
            "endpoint": node.endpoints[0][0],
        }
        for node in mesh.nodes.values()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nodes.json").write_text(json.dumps(nodes), encoding="utf-8")
    command = [sys.executable, str(HERE / "run_wg_meshconf.py"), str(folder / "nodes.json"), str(folder)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(rival())}
    ran = subprocess.run(command, check=False, timeout=900, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    answer: dict[str, t.Any] = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    return answer
