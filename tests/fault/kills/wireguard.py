# SPDX-License-Identifier: MIT
"""Kills in a mesh on plain WireGuard: of the modules on its hosts, and of its controllers."""

from __future__ import annotations

import contextlib
import json
import typing as t
from pathlib import Path

import yaml

from tests.fault.ground import ROLES, Ground, moved
from tests.fault.kills.controller import DATA, REMOVAL, SOCKET, Direction, Killer
from tests.fault.kills.jobs import Job
from tests.fault.kills.story import Told
from tests.fault.kills.world import World

if t.TYPE_CHECKING:
    from tests.fault.ground import Looks
    from tests.fault.kills.calls import Call

HERE = Path(__file__).parent
SPARE = "spare"
PROOFLESS = ("--skip-tags", "verify")
UNITS = ["wireguard-wm0.service", "wireguard-wm0-watch.service"]
KEY = "/etc/kills.key"
KEY_PLAY = [{"hosts": SPARE, "gather_facts": False, "tasks": [{"wonder.mesh.wireguard_key": {"path": KEY}}]}]
NEWCOMER = {
    "name": "newcomer",
    "public_key": "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=",  # of RFC 7748
    "endpoint": None,
    "allowed_ips": ["10.77.9.9/32"],
    "keepalive": 0,
    "preshared": False,
}
SOURCE = (HERE / "tunnel.py").read_text(encoding="utf-8")
PLACE = "/etc/wonder-mesh/wireguard"


class Mesh:
    """The fleet, of which one host is no node unless an inventory more says so."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        whole = ground.inventory_file
        content = yaml.safe_load(whole.read_text(encoding="utf-8"))
        nodes = content["all"]["children"]["nodes"]["hosts"]
        self.more = self._write("more.yml", {"all": {"children": {"nodes": {"hosts": {SPARE: {}}}}}})
        del nodes[SPARE]
        ground.inventory_file = self._write("less.yml", content)

    def _write(self, name: str, content: dict[str, t.Any]) -> Path:
        path = self.ground.inventory_file.with_name(name)
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path


def kill_modules(mesh: Mesh, work: Path, share: float, seed: str) -> Told:
    """On bare hosts: provision, kill in all situations, and provision once more."""
    world = World(mesh.ground)
    play = work / "key.yml"
    play.write_text(yaml.safe_dump(KEY_PLAY), encoding="utf-8")
    calls = world.record(str(play))
    mesh.ground.run(SPARE, f"rm {KEY}")
    before = tunnels(mesh.ground)
    hub, box = (calls[host]["wireguard_interface"] for host in ("hub", "box"))
    world.hand_over(hub, "hub", SPARE)
    wanted = {
        "box": [changing(box, world.other_builds("box", box), hub.arguments["table"]["addresses"][0])],
        SPARE: [coming(hub), key_alone(calls[SPARE]["wireguard_key"])],
    }
    said = world.kill(wanted, share, seed)
    mesh.ground.play()
    return Told(said, moved(before, tunnels(mesh.ground)))


def changing(call: Call, other: dict[str, str], hub: str) -> Job:
    """An interface whose own settings, peers and program change, and that goes and comes back with its key."""
    call = call.with_arguments(confirm=False, trial="")
    table = call.arguments["table"]
    own = {"table": table | {"mtu": 1380, "extra_ports": [123]}, "rules": {}, "names": {"x.test": ["10.77.9.9"]}}
    calls = {
        "A": call,
        "own": call.with_arguments(**own),
        "peers": call.with_arguments(table=table | {"peers": [*table["peers"], NEWCOMER]}),
        "program": call.with_programs(other),
        "kept": call.with_arguments(state="absent", table=None),
    }
    job = Job("interface", "A", "A", calls, units=UNITS, enter=["kept", "A"], tunnel=True, reach=hub.partition("/")[0])
    for name, what in (("own", "its own settings"), ("peers", "a new peer"), ("program", "another program")):
        job.way(what, "A", name, name, carries=name != "program")
        job.way(f"{what}, back", name, "A", "A", carries=name != "program")
    job.way("removal", "A", "kept", "kept")
    job.way("return", "kept", "A", "A")
    return job


def coming(call: Call) -> Job:
    """The key and the interface of a hub on a bare host, a new key there, and its removal with all data."""
    table = call.arguments["table"] | {"public_key": ""}
    call = call.with_arguments(confirm=False, trial="", table=table)
    calls = {
        "all": call,
        "key": call.with_arguments(table=None),
        "another": call.with_arguments(table=None, regenerate=True),
        "none": call.with_arguments(state="absent", table=None, remove_data=True),
    }
    job = Job("interface anew", "none", "none", calls, units=UNITS, enter=["none"], tunnel=True)
    job.way("first key", "none", "key", "key", keeps=False)
    job.way("first converge with a key", "key", "all", "all")
    job.way("first converge", "none", "whole", "all", keeps=False)
    job.way("new key", "all", "another", "another", keeps=False, repair="all", repaired="all")
    job.way("new key in use", "another", "all", "all")
    job.way("removal with data", "all", "none", "none", keeps=False)
    job.way("removal of all", "whole", "none", "none", keeps=False)
    return job


def key_alone(call: Call) -> Job:
    """The key of an interface that is not ours."""
    calls = {"made": call, "another": call.with_arguments(regenerate=True)}
    job = Job("key", "none", "none", calls)
    job.way("first key", "none", "made", "made", keeps=False)
    job.way("new key", "made", "made", "another", keeps=False, repair="made")
    job.script("made", "none", f"rm {KEY}")
    return job


def tunnels(ground: Ground) -> Looks:
    """The interfaces of all hosts, see tunnel.py, and who of those that know each other does not answer."""
    looks = {host: json.loads(each) for host, each in ground.run_all(dict.fromkeys(ground.hosts, _script())).items()}
    peers = {host: _peers(each) for host, each in looks.items()}
    asked = {
        host: [address for name, address in known.items() if host in peers.get(name, {})]
        for host, known in peers.items()
    }
    said = ground.run_all({host: _script(*addresses) for host, addresses in asked.items() if addresses})
    for host, look in looks.items():
        look["silent"] = json.loads(said.get(host, "[]"))
    return looks


def _peers(look: dict[str, t.Any]) -> dict[str, str]:
    """The first address of each peer in what is wanted, by name."""
    wanted = json.loads(look["files"].get(f"{PLACE}/wm0.json", ["", '{"peers": []}'])[1])
    return {each["name"]: each["allowed_ips"][0].partition("/")[0] for each in wanted["peers"]}


def _script(*addresses: str) -> str:
    return f"python3 - {' '.join(addresses)} <<'THE_END'\n{SOURCE}\nTHE_END\n"


class WireGuardKiller(Killer):
    """Controllers of such a mesh."""

    most = 6

    def __init__(self, mesh: Mesh, work: Path, share: float, seed: str) -> None:
        super().__init__(mesh.ground, work, share, seed)
        self._mesh = mesh
        self._joined = ("--inventory", str(mesh.more))

    def prepare(self) -> None:
        """Bare hosts, but for the one that joins and leaves: whoever leaves keeps what it has, as the registry does."""
        self._mesh.ground.play(*self._joined)
        self._mesh.ground.play("--extra-vars", DATA, playbooks=REMOVAL)

    def pairs(self) -> list[tuple[Direction, Direction]]:
        own = json.dumps({"wireguard_mtu": 1400, "wireguard_port": 51999, "mesh_admins": ["box"]})
        rotation = ["playbooks/rotate.yml"]
        return [
            (Direction("converge", ROLES), Direction("removal", REMOVAL, DATA)),
            (Direction("settings", ROLES, own), Direction("settings back", ROLES)),
            (Direction("a node more", ROLES, arguments=self._joined), Direction("a node less", ROLES)),
            (
                Direction("new keys", rotation, arguments=PROOFLESS),
                Direction("new keys again", rotation, "{}", PROOFLESS),
            ),
        ]

    def look(self) -> Looks:
        """Keys are others whenever they are made anew; that they fit is seen by who answers through the mesh."""
        found, live = super().look(), tunnels(self._mesh.ground)
        for host, each in found.items():
            each["files"] = {path: seen for path, seen in each["files"].items() if path not in live[host]["files"]}
            each |= {f"tunnel {kind}": seen for kind, seen in live[host].items()}
            # Whether somebody was answered lately.
            each["units"][SOCKET] = [line for line in each["units"][SOCKET] if not line.startswith("SubState=")]
        return found


@contextlib.contextmanager
def fleet(work: Path) -> t.Iterator[Mesh]:
    with Ground(work, str(HERE / "wireguard.yml")).anew() as ground:
        yield Mesh(ground)
