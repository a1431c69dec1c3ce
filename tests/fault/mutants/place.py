# SPDX-License-Identifier: MIT
"""Where mutants are run: a small fleet, with Ansible in the place of a stranger, who knows the public names."""

from __future__ import annotations

import copy
import dataclasses
import json
import subprocess
import typing as t
from pathlib import Path

import yaml

from tests.fault.events import Events
from tests.fault.ground import PLAY_SECONDS, ROOT, Ground

if t.TYPE_CHECKING:
    from tests.fault.mutants.mutations import Data

TOPOLOGY = str(ROOT / "tests" / "fault" / "mutants.yml")
STRANGER, SPARE = "stranger", "spare"
ADDRESS = "203.0.113.10"  # of vps, see the topology
NAMES = {f"{name}.wm.test": [ADDRESS] for name in ("vps", "hello", "shop", "spare")}
# What a mutant may say that a program listens on, by whatever protocol.
PORTS = (1, 8000, 8001, 8002)
URLS = ("https://hello.wm.test/", "https://hello.wm.test/blog", "https://shop.wm.test/")


@dataclasses.dataclass(frozen=True)
class Run:
    """A run of site.yml: its exit status, all that it printed, its events, and the proof that it wrote, if any."""

    status: int
    output: str
    events: Events
    proof: dict[str, t.Any]


class Place(Ground):
    """A fleet and a controller inside of it."""

    def __init__(self, work: Path) -> None:
        super().__init__(work, TOPOLOGY)
        self.work = work

    def up(self) -> None:
        super().up()
        what = " ".join(f"{kind}:{port}" for port in PORTS for kind in ("any", "udp"))
        for host in ("vps", "box-1"):
            self.run(
                host,
                f"""systemctl stop page.service
                systemd-run --quiet --unit=pages --property=DynamicUser=yes \
                    --property=AmbientCapabilities=CAP_NET_BIND_SERVICE \
                    /usr/bin/python3 -I /usr/local/lib/fleet/page.py {host} 0.0.0.0 {what}
                sleep 1
                systemctl is-active --quiet pages""",
            )

    @property
    def hosts(self) -> list[str]:
        return [host for host in super().hosts if host != STRANGER]

    def good(self) -> Data:
        """The fleet's inventory, with the controller as the only stranger and DNS that counts."""
        data = copy.deepcopy(self.inventory)
        everything = data["all"]
        everything["vars"] |= {"mesh_dns_check": "strict", "mesh_verify_paths": "warn"}
        del everything["hosts"][STRANGER], everything["children"]["strangers"]
        services = everything["hosts"]["vps"]["mesh_services"]
        services[:] = [service for service in services if service["name"] != SPARE]
        return data

    def converge(self, inventory: Path, *arguments: str, playbook: str = "site.yml") -> Run:
        """Run a playbook with this inventory and all that Ansible ever prints."""
        proof = inventory.with_name("result.json")
        proof.unlink(missing_ok=True)
        self._events.unlink(missing_ok=True)
        command = ["ansible-playbook", "--inventory", str(inventory), playbook, "-vvv", "--diff", *arguments]
        done = subprocess.run(
            [*self._inside(), *command],
            cwd=ROOT,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=PLAY_SECONDS,
            check=False,
        )
        found = json.loads(proof.read_text(encoding="utf-8")) if proof.exists() else {}
        return Run(done.returncode, done.stdout, Events.load(self._events), found)

    def answers(self) -> dict[str, str]:
        """What a stranger gets from each public address: the status."""
        found = {}
        for url in URLS:
            command = [
                "curl",
                "--silent",
                "--max-time",
                "10",
                "--output",
                "/dev/null",
                "--write-out",
                "%{http_code}",
                url,
            ]
            done = subprocess.run([*self._inside(), *command], capture_output=True, text=True, timeout=60, check=False)
            found[url] = done.stdout
        return found

    def _inside(self) -> list[str]:
        """What to put before a command so that it has the network, the names and the authorities of the stranger."""
        place = self.inventory_file.parents[1]
        names = place / "hosts" / STRANGER / "root" / "etc" / "hosts"
        ca = place / "ca.pem"
        command = f'mount --bind {names} /etc/hosts && SSL_CERT_FILE={ca} CURL_CA_BUNDLE={ca} exec "$@"'
        return ["ip", "netns", "exec", f"{place.name}-{STRANGER}", "bash", "-c", command, "bash"]


def write(path: Path, data: Data) -> Path:
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return path
