# SPDX-License-Identifier: MIT

"""A host with a WireGuard interface that lives in memory, for the tests of ``wireguard_interface``.

What runs is kept where ``daemon_host`` keeps what a daemon has read, so that it is part of every state and snapshot.
The agent itself works on it, called as systemd would: with an MTU of 666 it fails, as it would for a bad device.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import json
import os
import platform
import shutil
import types
import typing as t
from pathlib import Path

from ansible_collections.wonder.mesh.plugins.module_utils import (
    _daemon,
    _hosts_block,
    _wireguard_agent,
    _wireguard_daemon,
    _wireguard_here,
    _wireguard_interface,
    _wireguard_live,
    _wireguard_look,
    _wireguard_place,
    _wireguard_run,
)
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_device import Change, Device, Peer
from ansible_collections.wonder.mesh.plugins.module_utils._wireguard_key import decode
from ansible_collections.wonder.mesh.plugins.modules import wireguard_interface
from tests.unit.plugins.modules.daemon_host import Host

if t.TYPE_CHECKING:
    import pytest

UNIT, WATCH = "wireguard-wm0.service", "wireguard-wm0-watch.service"
AGENT = b"the agent"
PROGRAM = b"wireguard-go 1"


def key(name: str) -> str:
    return base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()


def peer(name: str, number: int, **changes: t.Any) -> dict[str, t.Any]:
    row = {
        "name": name,
        "public_key": key(name),
        "endpoint": f"203.0.113.{number}:51820",
        "allowed_ips": [f"10.77.0.{number}/32"],
        "keepalive": 25,
        "preshared": True,
    }
    return {**row, **changes}


def table(*peers: dict[str, t.Any], **changes: t.Any) -> dict[str, t.Any]:
    found = {
        "name": "nas",
        "public_key": "",
        "addresses": ["10.77.0.9/32", "fd77::9/128"],
        "mtu": 1420,
        "port": 51820,
        "extra_ports": [],
        "peers": list(peers or (peer("hub-1", 1), peer("hub-2", 2))),
        "routes": ["10.77.0.0/16", "fd77::/64"],
        "hubs": [],
        "relayed": [],
        "forward": {"mesh": False, "networks": []},
    }
    return {**found, **changes}


class WireGuardHost(Host):
    """``running`` is the interface as it is; None if there is none."""

    def reset(self) -> None:
        super().reset()
        for each in ("etc/wonder-mesh", "lib", "sys/ipv4/conf", "sys/ipv6/conf/all"):
            (self.root / each).mkdir(parents=True, exist_ok=True)
        (self.root / "sys" / "ipv6" / "conf" / "all" / "forwarding").write_text("0")
        (self.root / "etc" / "wonder-mesh").rmdir()
        (self.root / "etc" / "hosts").write_text("127.0.0.1 localhost\n")
        self.touched: list[Change] = []  # what the interface was told

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the module take this host for its own."""
        root = self.root
        for name, value in {"ETC": root / "etc" / "wonder-mesh", "LIBRARY": root / "lib" / "wonder-mesh"}.items():
            monkeypatch.setattr(_wireguard_place, name, str(value))
            monkeypatch.setattr(_wireguard_daemon, name, str(value))
        for name in ("RUN", "SYSCTL", "MODULE"):
            monkeypatch.setattr(_wireguard_place, name, str(root / {"RUN": "run", "SYSCTL": "sys"}.get(name, "none")))
        monkeypatch.setattr(_wireguard_daemon, "UNITS", str(self.units))
        monkeypatch.setattr(wireguard_interface, "UNITS", str(self.units))
        monkeypatch.setattr(_wireguard_daemon, "INSTALL", str(self.bin))
        made = functools.partial(_daemon.Daemon, state_root=str(self.state))
        monkeypatch.setattr(_wireguard_daemon, "Daemon", made)
        described = functools.partial(_daemon.Daemon.described, state_root=str(self.state))
        monkeypatch.setattr(_wireguard_look, "Daemon", types.SimpleNamespace(described=described))
        monkeypatch.setattr(_wireguard_here, "STATE_ROOT", str(self.state))
        monkeypatch.setattr(_wireguard_here, "TUN", str(root))
        block = functools.partial(_hosts_block.HostsBlock, path=str(root / "etc" / "hosts"))
        monkeypatch.setattr(_wireguard_interface, "HostsBlock", block)
        monkeypatch.setattr(_wireguard_look, "HostsBlock", block)
        monkeypatch.setattr(_wireguard_live, "backend", lambda _place: Memory(self))
        monkeypatch.setattr(_wireguard_agent, "of_unit", self.tool)
        monkeypatch.setattr(_wireguard_run.shutil, "which", lambda name, path: name)

    def wanted(self, **changes: t.Any) -> dict[str, t.Any]:
        """The module's arguments, as the action plugin sends them."""
        given = {"table": table(), "rules": {}, "names": {"hub-1.mesh.test": ["10.77.0.1"]}, "registry": "{}\n"}
        given |= changes
        keys = {each["name"]: key(f"with {each['name']}") for each in (given["table"] or {}).get("peers", [])}
        secrets = json.dumps(keys, sort_keys=True).encode()
        contents = [AGENT, PROGRAM, secrets]
        agent, program, preshared = (hashlib.sha256(each).hexdigest() for each in contents)
        return {
            "preshared_sha256": preshared if keys else "",
            "agent_sha256": agent,
            "binaries": {platform.machine(): [{"name": "wireguard-go", "sha256": program, "label": "wireguard-go 1"}]},
            "uploads": {hashlib.sha256(each).hexdigest(): self._sent(each) for each in contents},
            "implementation": "userspace",
            **given,
        }

    def _sent(self, content: bytes) -> str:
        path = self.root.parent / f"{self.root.name}-{hashlib.sha256(content).hexdigest()[:8]}.gz"
        path.write_bytes(gzip.compress(content, mtime=0))
        return str(path)

    @property
    def running(self) -> dict[str, t.Any] | None:
        runs = self.unit(UNIT).runs
        return json.loads(runs["state"]) if runs else None

    def run(self, state: dict[str, t.Any] | None) -> None:
        self.unit(UNIT).runs = {} if state is None else {"state": json.dumps(state, sort_keys=True).encode()}

    def secret(self) -> str:
        """What must be seen nowhere."""
        path = self.root / "etc" / "wonder-mesh" / "wireguard" / "wm0.key"
        return path.read_text().strip() if path.exists() else ""

    def snapshot(self) -> dict[str, t.Any]:
        """Without what is random: the key itself, whose mode counts, and what is noted until the next boot."""
        found = super().snapshot()
        state = self.running
        if state is not None:
            own = state["private_key"] == self._private()
            found[f"unit {UNIT}"] = (*found[f"unit {UNIT}"][:3], state | {"private_key": own})
        name = "etc/wonder-mesh/wireguard/wm0.key"
        if name in found:
            found[name] = (found[name][0], "a key")
        return {path: what for path, what in found.items() if not path.startswith("run/")}

    def _private(self) -> str:
        raw = self.secret()
        return base64.b64decode(raw).hex() if raw else ""

    def run_command(self, args: list[str], **other: t.Any) -> tuple[int, str, str]:
        argv = args[2:] if args[0] == "timeout" else args
        if argv[0] in ("ip", "nft", "modprobe"):
            self.commands.append(f"show {argv[0]}")  # a question, as far as orders go: the agent gives the orders
            return self.tool(argv, self.given or "")
        return super().run_command(args, **other)

    def orders(self) -> list[str]:
        return [each for each in super().orders() if not each.startswith("journalctl")]

    def tool(self, argv: t.Sequence[str], given: str) -> tuple[int, str, str]:
        """What iproute2, nft and modprobe would do."""
        if argv[0] == "modprobe":
            return 1, "", ""
        answer: tuple[int, str, str] = getattr(self, f"_{argv[0]}")(list(argv[1:]), given)
        return answer

    def _ip(self, argv: list[str], given: str) -> tuple[int, str, str]:
        state = self.running
        if state is None:
            return 1, "", "Device does not exist"
        if argv[:2] == ["-json", "address"]:
            addresses = [_address(each) for each in state["addresses"]]
            shown = {"mtu": state["mtu"], "flags": ["UP"] if state["up"] else [], "addr_info": addresses}
            return 0, json.dumps([shown]), ""
        if argv[:2] == ["-json", "route"]:
            return 0, json.dumps([{"dev": "eth0"}]), ""
        if argv[0] == "-json":
            own = [each for each in state["routes"] if (":" in each) == (argv[1] == "-6")]
            return 0, json.dumps([{"dst": each, "protocol": "static"} for each in own]), ""
        if argv[:2] == ["link", "del"]:
            self.run(None)
            return 0, "", ""
        for number, line in enumerate(given.splitlines(), 1):
            words = line.split()
            if words[0] == "link" and words[-2] == "mtu":
                if words[-1] == "666":
                    return 1, "", f"Error: mtu less than device minimum.\nCommand failed -:{number}"
                state["mtu"] = int(words[-1])
            elif words[0] == "link":
                state["up"] = True
            else:
                kind = {"address": "addresses", "route": "routes"}[words[0]]
                left = set(state[kind]) - {words[2]}
                state[kind] = sorted(left | {words[2]} if words[1] == "add" else left)
        self.run(state)
        return 0, "", ""

    def _nft(self, argv: list[str], given: str) -> tuple[int, str, str]:
        tables = self.unit("nft").runs
        if argv[0] == "delete":
            tables.pop(argv[-1], None)
        elif "list" in argv:
            return (0, tables[argv[-1]].decode(), "") if argv[-1] in tables else (1, "", "No such file or directory")
        else:
            if "refused" in given:
                return 1, "", "syntax error"
            tables[given.split()[2]] = given.split("\n", 2)[2].encode()
        return 0, "", ""

    def _show(self, *names: str) -> tuple[int, str]:
        return 0, "\n".join(super(WireGuardHost, self)._show(name)[1] for name in names)

    def _restart(self, name: str) -> tuple[int, str]:
        unit, path = self.unit(name), self.units / name
        if unit.loaded is None and path.exists():
            unit.loaded = path.read_bytes()
        if unit.loaded is None:
            return 5, "not found"
        if name == WATCH:
            unit.active = "active"
            return 0, ""
        self._stop(UNIT)
        unit.active = "active"
        self.run({"private_key": "", "port": 0, "peers": {}, "mtu": 1500, "up": False, "addresses": [], "routes": []})
        Path(self._runtime).mkdir(exist_ok=True)
        for each in ("ipv4", "ipv6"):
            setting = self.root / "sys" / each / "conf" / "wm0" / "forwarding"
            setting.parent.mkdir()
            setting.write_text("0")
        if self._agent("apply"):
            self._stop(UNIT)
            unit.active = "failed"
        else:
            self.unit(WATCH).active = "active"  # which the unit wants
        return 0, ""

    def _reload(self, name: str) -> tuple[int, str]:
        return self._agent("apply"), ""

    def _stop(self, *names: str) -> tuple[int, str]:
        if UNIT in names and self.unit(UNIT).runs:
            self._agent("down")
            for each in Path(self._runtime).iterdir():
                each.unlink()
            Path(self._runtime).rmdir()
            for each in ("ipv4", "ipv6"):
                shutil.rmtree(self.root / "sys" / each / "conf" / "wm0")
        return super()._stop(*names)

    @property
    def _runtime(self) -> str:
        return str(self.root / "run" / "wireguard-wm0")

    def _agent(self, verb: str) -> int:
        mask = os.umask(0o077)
        try:
            return _wireguard_agent.main([verb, "wm0"])
        finally:
            os.umask(mask)


class Memory:
    """The interface's WireGuard part."""

    def __init__(self, host: WireGuardHost) -> None:
        self._host = host

    def get(self) -> Device:
        state = self._host.running or {}
        peers = {
            bytes.fromhex(number): Peer(
                bytes.fromhex(number),
                bytes.fromhex(each["psk"]),
                tuple(each["endpoint"]) if each["endpoint"] else None,
                each["keepalive"],
                frozenset(each["allowed_ips"]),
            )
            for number, each in state.get("peers", {}).items()
        }
        return Device(bytes.fromhex(state["private_key"]) if state["private_key"] else bytes(32), state["port"], peers)

    def set(self, change: Change) -> None:
        self._host.touched.append(change)
        state = self._host.running or {}
        if change.private_key is not None:
            state["private_key"] = change.private_key.hex()
        state["port"] = state["port"] if change.port is None else change.port
        for each in change.peers:
            found = state["peers"].pop(each.public_key.hex(), None) or {
                "psk": bytes(32).hex(), "endpoint": None, "keepalive": 0, "allowed_ips": []
            }  # fmt: skip
            if each.remove:
                continue
            for other in state["peers"].values():
                other["allowed_ips"] = [net for net in other["allowed_ips"] if net not in each.allowed_ips]
            kept = [] if each.replace else found["allowed_ips"]
            state["peers"][each.public_key.hex()] = {
                "psk": found["psk"] if each.preshared_key is None else each.preshared_key.hex(),
                "endpoint": found["endpoint"] if each.endpoint is None else list(each.endpoint),
                "keepalive": found["keepalive"] if each.keepalive is None else each.keepalive,
                "allowed_ips": sorted({*kept, *each.allowed_ips}),
            }
        self._host.run(state)


def told(host: WireGuardHost) -> list[str]:
    """The public keys of the peers that the interface was told something about, by their numbers; then forget it."""
    found = [each.public_key.hex() for change in host.touched for each in change.peers]
    host.touched.clear()
    return found


def number(name: str) -> str:
    return decode(key(name)).hex()


def _address(network: str) -> dict[str, t.Any]:
    local, _, length = network.partition("/")
    return {"local": local, "prefixlen": int(length), "scope": "global"}
