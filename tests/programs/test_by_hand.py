# SPDX-License-Identifier: MIT
"""docs/manual.md, done step by step on bare hosts: our own proof holds of what comes of it, and nothing of it stays."""

from __future__ import annotations

import re
import subprocess
import typing as t
from pathlib import Path

import jinja2
import pytest
import yaml

from tests.fleet.world import ROOT, Fleet, Play
from tests.programs.control import program

if t.TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 180
MANUAL = (ROOT / "docs" / "manual.md").read_text(encoding="utf-8")
TAGS = {
    "vps": "tag:node,tag:gateway,tag:node-vps",
    "box-1": "tag:node,tag:node-box-1",
    "box-2": "tag:node,tag:node-box-2",
}
BINARIES = {"headscale": "headscale", "caddy": "caddy", "tailscale": "tailscale", "tailscaled": "tailscale"}
# The manual leaves certificates to Caddy, and there is no authority here that it could ask.
LEFT = """
find /etc /usr/local | grep -E 'headscale|caddy|tailscale|mesh-probe|wonder-mesh' || true
getent passwd headscale caddy mesh-probe || true
systemctl --failed --no-legend --plain
"""
TLS = " {\n  tls /etc/mine/certificate /etc/mine/key"


def blocks(section: int) -> list[str]:
    """The commands of a section, block by block, without their indent."""
    (text,) = re.findall(rf"^## {section}\. .*?\n(.*?)(?=^## |\Z)", MANUAL, re.MULTILINE | re.DOTALL)
    found = re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", text, re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in found]


class Hands:
    """Somebody at the keyboard of these hosts."""

    def __init__(self, fleet: Fleet) -> None:
        self.state = fleet.inventory.parents[1]
        self.ssh = f"ssh -F {self.state / 'ssh_config'}"

    def type(self, host: str, script: str) -> str:
        """Run a script there as root."""
        return self._run([*self.ssh.split(), host, "bash -e -s"], script.encode())

    def pipe(self, line: str) -> None:
        """Run a line here that connects hosts."""
        self._run(["bash", "-e", "-o", "pipefail", "-c", re.sub(r"\bssh (?=vps|box)", f"{self.ssh} ", line)], b"")

    def put(self, host: str, path: str, content: bytes, mode: str = "0644") -> None:
        self._run([*self.ssh.split(), host, f"install -D -m {mode} /dev/stdin {path}"], content)

    def unit(self, host: str, role: str, name: str, **variables: object) -> None:
        """Put a role's unit there, with its variables filled in."""
        templates = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701
        templates.filters["bool"] = bool
        text = (ROOT / "roles" / role / "templates" / f"{name}.j2").read_text(encoding="utf-8")
        own = yaml.safe_load((ROOT / "roles" / role / "vars" / "main.yml").read_text(encoding="utf-8"))
        known = {key: value for key, value in own.items() if "{{" not in str(value)}
        self.put(host, f"/etc/systemd/system/{name}", templates.from_string(text).render(known | variables).encode())

    def _run(self, command: list[str], given: bytes) -> str:
        done = subprocess.run(
            command, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS, check=False
        )
        said = done.stdout.decode(errors="replace")
        assert done.returncode == 0, f"{given.decode(errors='replace')[:2000]}\n{said[-4000:]}"
        return said


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    fleet = Fleet(str(Path(__file__).with_name("by_hand.yml")))
    fleet.make()
    try:
        yield fleet
    finally:
        fleet.down()


@pytest.fixture(scope="module")
def hands(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Hands:
    """They have done sections 4 to 8."""
    hands, place = Hands(fleet), tmp_path_factory.mktemp("programs")
    for name, of in BINARIES.items():
        binary = Path(program(place, of, name)).read_bytes()
        for host in TAGS if of == "tailscale" else ["vps"]:
            hands.put(host, name, binary, "0755")
    control(hands)
    front(hands)
    for host, tags in TAGS.items():
        node(hands, host, tags)
    for host in TAGS:
        probe(hands, host)
    return hands


def control(hands: Hands) -> None:
    make, start = blocks(4)
    hands.type("vps", make)
    hands.unit("vps", "headscale", "headscale.service")
    hands.type("vps", start.replace("curl ", "curl --fail --retry 20 --retry-connrefused "))
    (policy,) = blocks(5)
    hands.type("vps", policy)


def front(hands: Hands) -> None:
    make, start = blocks(6)
    for name, kind in (("certificate", "pem"), ("key", "key")):
        hands.put("vps", f"/etc/mine/{name}", (hands.state / "certificates" / f"vps.{kind}").read_bytes())
    hands.type("vps", re.sub(r"(?m)^(\w+\.example\.com) \{", rf"\1{TLS}", make))
    hands.unit("vps", "caddy", "caddy.service")
    hands.type("vps", start.replace("curl ", "curl --fail --retry 20 --retry-all-errors "))


def node(hands: Hands, host: str, tags: str) -> None:
    start, join = blocks(7)
    hands.put(host, "tailscaled_traces.py", (ROOT / "roles/tailscaled/files/tailscaled_traces.py").read_bytes())
    defaults = yaml.safe_load((ROOT / "roles/tailscaled/defaults/main.yml").read_text(encoding="utf-8"))
    traces = "/usr/local/lib/wonder-mesh-tailscaled/tailscaled_traces.py"
    own = {"__tailscaled_owner": "root", "__tailscaled_traces": traces}
    hands.unit(host, "tailscaled", "tailscaled.service", **defaults | own)
    hands.type(host, start)
    hands.pipe(join.replace("tag:node,tag:node-box-1", tags).replace("box-1", host))


def probe(hands: Hands, host: str) -> None:
    (start,) = blocks(8)
    program = (ROOT / "roles/probe/files/mesh_probe_responder.py").read_bytes()
    hands.put(host, "mesh_probe_responder.py", program)
    addresses = hands.type(host, "tailscale ip").split()
    hands.unit(host, "probe", "mesh-probe.socket", probe_addresses=addresses, probe_port=7733)
    hands.unit(host, "probe", "mesh-probe.service")
    hands.type(host, start)


@pytest.fixture(scope="module")
def proof(fleet: Fleet, hands: Hands) -> Play:
    return fleet.play("playbooks/verify.yml")


def test_our_own_proof_holds_of_what_was_made_by_hand(proof: Play) -> None:
    assert proof.status == 0, proof.output


@pytest.mark.usefixtures("proof")
def test_what_the_manual_measures_is_what_it_says(hands: Hands) -> None:
    ping, page, closed, refused = blocks(9)[0].splitlines()
    assert "via" in hands.type("box-1", ping)
    assert "box-1" in hands.type("stranger", page)
    assert hands.type("stranger", closed).strip() == "404"
    assert hands.type("box-1", refused).splitlines()[-1] == "refused"


# The last one, since it takes all of it away.


@pytest.mark.usefixtures("proof")
def test_nothing_stays_but_the_data(hands: Hands) -> None:
    expire, from_node, from_server = blocks(10)
    hands.type("vps", expire)
    for host in TAGS:
        hands.type(host, from_node)
    hands.type("vps", from_server)
    assert {host: hands.type(host, LEFT) for host in TAGS} == dict.fromkeys(TAGS, "")
