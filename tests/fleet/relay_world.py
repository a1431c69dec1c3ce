# SPDX-License-Identifier: MIT
"""The fleet of the relays as the tests see it: who is let in, what is published, and how long until nodes talk."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from world import run

from ansible_collections.wonder.mesh.plugins.plugin_utils import _programs

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from world import Fleet

HERE = Path(__file__).parent
TOPOLOGY = str(HERE / "relays.yml")
COORDINATOR, RELAYS, HIDDEN, NODES = "vps", ("out", "vps"), ("box", "desk"), ("box", "desk", "out", "vps")
PORTS = {"out": ("203.0.113.77", 443), "vps": ("vps.wm.test", 8443)}
PROBE_PORT = 7733
MAP = "/etc/headscale/derp.yaml"
# The private key of the node, as tailscaled keeps it.
KEY = """python3 -c '
import base64, json
state = json.load(open("/var/lib/tailscale/tailscaled.state"))
profile = base64.b64decode(state["_current-profile"]).decode()
print(json.loads(base64.b64decode(state[profile]))["Config"]["PrivateNodeKey"])'"""


@pytest.fixture(scope="module")
def mesh(fleet: Callable[[str], Fleet]) -> Fleet:
    return fleet(TOPOLOGY)


@pytest.fixture(scope="module")
def client(mesh: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(mesh, tmp_path_factory.mktemp("client"))


class Client:
    """A machine of the internet that connects to relays with the key of a node, or with one that nobody knows."""

    def __init__(self, mesh: Fleet, directory: Path) -> None:
        self._mesh, self._directory = mesh, directory
        build = ["go", "build", *_programs.BUILD_FLAGS, "-o", str(directory / "client"), "."]
        # As the programs are built, so that most of it is in Go's cache.
        environment = os.environ | _programs.BUILD_ENVIRONMENT
        subprocess.run(build, cwd=HERE / "relay_client", env=environment, check=True, timeout=600)
        for node in HIDDEN:
            file = directory / node
            file.touch(mode=0o600)
            file.write_text(mesh.host(node).run(f"timeout 20 {KEY}").stdout, encoding="ascii")

    def ask(self, relay: str, node: str = "", hold: int = 0) -> dict[str, t.Any]:
        """Whether it is let in, and for how many seconds it stays."""
        host, port = PORTS[relay]
        command = [str(self._directory / "client"), "-host", host, "-port", str(port), "-hold", f"{hold}s"]
        command += ["-pin", pins(self._mesh)[relay]] if relay in pins(self._mesh) else []
        command += ["-key", str(self._directory / node)] if node else []
        done = self._mesh.run_inside("stranger", command, seconds=hold + 60)
        print(relay, node or "a stranger", done.stdout, done.stderr)
        answer: dict[str, t.Any] = json.loads(done.stdout)
        return answer

    def admitted(self, node: str = "") -> dict[str, bool]:
        """By each relay."""
        return {relay: self.ask(relay, node)["admitted"] for relay in RELAYS}


def regions(mesh: Fleet) -> dict[str, dict[str, t.Any]]:
    """The published map, by the names of the relays."""
    found = yaml.safe_load(run(mesh.host(COORDINATOR), f"cat {MAP}").stdout)["regions"].values()
    return {region["regioncode"]: region for region in found}


def pins(mesh: Fleet) -> dict[str, str]:
    nodes = {name: region["nodes"][0] for name, region in regions(mesh).items()}
    return {name: node["certname"] for name, node in nodes.items() if "certname" in node}


def reach(mesh: Fleet, sources: t.Iterable[str], seconds: float) -> dict[tuple[str, str], float]:
    """How long it takes until each pair echoes, at most so many seconds; infinity if it does not."""
    addresses = {node["name"]: node["address"] for node in mesh.result["nodes"]}

    def ask(source: str) -> dict[tuple[str, str], float]:
        peers = " ".join(f"{name}={address}" for name, address in addresses.items() if name != source)
        script = (HERE / "reach.py").read_text(encoding="utf-8")
        command = f"timeout {seconds + 10} python3 - {seconds} {PROBE_PORT} {peers} <<'THE_END'\n{script}\nTHE_END\n"
        found = json.loads(run(mesh.host(source), command).stdout)
        return {(source, peer): float("inf") if took is None else took for peer, took in found.items()}

    with concurrent.futures.ThreadPoolExecutor() as pool:
        return {pair: took for each in pool.map(ask, sources) for pair, took in each.items()}


def heard(mesh: Fleet) -> bool:
    """Whether every node has the certificates that are published now: with an old one it does not reach the relay."""
    said = [json.loads(run(mesh.host(name), "timeout 20 tailscale debug derp-map").stdout or "{}") for name in NODES]
    known = [{each["RegionCode"]: each["Nodes"][0] for each in one.get("Regions", {}).values()} for one in said]
    found = [{name: node["CertName"] for name, node in each.items() if "CertName" in node} for each in known]
    return found == [pins(mesh)] * len(NODES)


def homes(mesh: Fleet, nodes: t.Sequence[str] = HIDDEN) -> dict[str, str]:
    """The relay through which each of these is found; empty while the coordinator does not know the node online."""
    said = {name: run(mesh.host(name), "timeout 20 tailscale status --json --peers=false").stdout for name in nodes}
    states = {name: json.loads(each or "{}").get("Self", {}) for name, each in said.items()}
    return {name: state.get("Relay", "") if state.get("Online") else "" for name, state in states.items()}


def remembered(mesh: Fleet, nodes: t.Sequence[str]) -> dict[str, str]:
    """The relay at which each of these would be at home after a boot without the coordinator; empty for none."""
    script = (HERE / "remembered.py").read_text(encoding="utf-8")
    command = f"timeout 20 python3 - <<'THE_END'\n{script}\nTHE_END\n"
    return {name: run(mesh.host(name), command).stdout.strip() for name in nodes}


@contextlib.contextmanager
def policy_without(mesh: Fleet, *rules: str) -> Iterator[None]:
    """The policy lacks the grants of these protocols and ports."""
    coordinator = mesh.host(COORDINATOR)
    policy = run(coordinator, "timeout 20 headscale policy get").stdout
    grants = [grant for grant in json.loads(policy)["grants"] if grant.get("ip", [""])[0] not in rules]

    def put(text: str) -> None:
        assert run(coordinator, f"cat >/tmp/policy <<'THE_END'\n{text}\nTHE_END\n").rc == 0
        assert run(coordinator, "timeout 20 headscale policy set --file /tmp/policy; rm /tmp/policy").rc == 0

    put(json.dumps(json.loads(policy) | {"grants": grants, "tests": []}))  # with its tests, it would be refused
    try:
        yield
    finally:
        put(policy)
