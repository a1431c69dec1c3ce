# SPDX-License-Identifier: MIT

"""A host below a directory, with a systemd that keeps its word, for the tests of ``daemon``.

Its one daemon reads ``etc/demo`` when it starts or reloads. Words in what it reads decide what it does: with "dies" it
fails, with "loops" systemd restarts it for ever, with "mute" it is never ready, with "stubborn" it refuses to reload,
and the checker refuses "wrong". ``program 2`` changes the data in a way that ``program 1`` cannot read.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import os
import platform
import shutil
import types
import typing as t
from pathlib import Path

from ansible_collections.wonder.mesh.plugins.module_utils import _intact, _wanted
from ansible_collections.wonder.mesh.plugins.module_utils._systemd import Systemd
from ansible_collections.wonder.mesh.plugins.plugin_utils import _reading

if t.TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    Run = Callable[..., dict[str, t.Any]]

SHOW = "show --property=ActiveState,SubState,UnitFileState,NRestarts,Result,NeedDaemonReload -- demo.service"
SECRET = "hunter2-secret"  # noqa: S105 - of nobody


class Accounts:
    """Stands in for pwd, grp, useradd and userdel. Everybody is who runs the tests, or only root could run them."""

    LISTS = ("passwd", "shadow", "group", "gshadow")

    def __init__(self, etc: Path) -> None:
        self._etc = etc
        # Called before each list is written: useradd and userdel can be killed there.
        self.step: Callable[[str], None] = lambda what: None

    def path(self, which: str) -> Path:
        return self._etc / which

    def reset(self) -> None:
        for each in self.LISTS:
            self.path(each).write_text("root:\n")

    @property
    def names(self) -> set[str]:
        return self._listed("passwd")

    def snapshot(self) -> dict[str, list[str]]:
        """Which lists each user is in."""
        return {
            f"user {name}": [each for each in self.LISTS if name in self._listed(each)]
            for name in sorted(set.union(*map(self._listed, self.LISTS)))
        }

    def add(self, name: str, lists: t.Sequence[str] = LISTS) -> None:
        for each in lists:
            self.step(f"{name} is in {each}")
            names = sorted(self._listed(each) | {name})
            self.path(each).write_text("".join(f"{one}:\n" for one in names))

    def remove(self, name: str, lists: t.Sequence[str] = LISTS) -> None:
        for each in lists:
            self.step(f"{name} is not in {each}")
            self.path(each).write_text("".join(f"{one}:\n" for one in sorted(self._listed(each) - {name})))

    def useradd(self, name: str, group: str) -> int:
        if name in self.names or (name in self._listed("group")) != bool(group):
            return 9
        self.add(name)
        return 0

    def userdel(self, name: str) -> int:
        if name not in self.names:
            return 6
        self.remove(name)
        return 0

    def groupdel(self, name: str) -> int:
        if name in self.names or name not in self._listed("group"):
            return 6
        self.remove(name, ("group", "gshadow"))
        return 0

    def getpwnam(self, name: str) -> t.Any:
        if name not in self.names:
            raise KeyError(name)
        return types.SimpleNamespace(pw_uid=os.getuid())

    def getgrnam(self, name: str) -> t.Any:
        if name not in self._listed("group"):
            raise KeyError(name)
        return types.SimpleNamespace(gr_gid=os.getgid(), gr_mem=[])

    def getpwuid(self, _number: int) -> t.Any:
        return types.SimpleNamespace(pw_name="root")

    def getgrgid(self, _number: int) -> t.Any:
        return types.SimpleNamespace(gr_name="root")

    def _listed(self, which: str) -> set[str]:
        return {line.partition(":")[0] for line in self.path(which).read_text().splitlines()}


@dataclasses.dataclass
class Unit:
    """A unit as systemd has it; ``runs`` is what its daemon has read, empty when it does not run."""

    enabled: bool = False
    active: str = "inactive"
    restarts: int = 0
    loaded: bytes | None = None
    runs: dict[str, bytes] = dataclasses.field(default_factory=dict)


class Host:
    """The directories that a daemon lives in, and ``run_command``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin, self.etc, self.units, self.var = (root / each for each in ("bin", "etc", "units", "var"))
        self.config, self.data = self.etc / "demo" / "config", self.var / "demo"
        self.state = self.var / "wonder-mesh"
        self.accounts = Accounts(self.etc)
        self.reset()

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a host of another kind must have besides."""

    def reset(self) -> None:
        """A bare host, at the same place: paths are part of what is remembered."""
        shutil.rmtree(self.root, ignore_errors=True)
        for each in (self.bin, self.etc, self.units, self.var, self.root / "run"):
            each.mkdir(parents=True)
        self.accounts.reset()
        self.systemd: dict[str, Unit] = {}
        self.commands: list[str] = []
        self.judged: dict[str, bytes] = {}
        self.judged_modes: dict[str, int] = {}
        self.judge = b""
        self.inherited: tuple[int, ...] = ()  # the descriptors that a command gets
        self.given: str | None = None  # what it gets on its standard input
        self.broken: set[str] = set()  # systemctl verbs that fail

    def wanted(
        self,
        config: str = "config 1\n",
        extra: str = "extra 1\n",
        program: str = "program 1",
        unit: str = "[Service]\n",
        secret: str = SECRET,
        **changes: t.Any,
    ) -> dict[str, t.Any]:
        """The module's arguments."""
        digest = hashlib.sha256(program.encode()).hexdigest()
        secret_digest = hashlib.sha256(secret.encode()).hexdigest()
        etc = self.etc / "demo"
        return {
            "name": "demo",
            "program": "demo",
            "user": "demo",
            "directories": [
                {"path": str(etc), "mode": "0750"},
                {"path": str(self.data), "mode": "0700", "data": True},
            ],
            "files": [
                {"path": str(self.config), "content": config, "mode": "0640"},
                {"path": str(etc / "extra"), "content": extra, "on_change": "reload"},
                {"path": str(etc / "secret"), "sha256": secret_digest, "secret": True, "mode": "0600"},
                {"path": str(self.units / "demo.service"), "content": unit},
            ],
            "units": ["demo.service"],
            "check": ["demo", "check", str(self.config)],
            "binaries": {platform.machine(): [{"name": "demo", "sha256": digest, "label": program}]},
            "uploads": {digest: self.upload(program), secret_digest: self.upload(secret)},
        } | changes

    def upload(self, content: str) -> str:
        """Where the gzipped content lies, as the action plugin would have sent it."""
        path = self.root.parent / f"{self.root.name}-{hashlib.sha256(content.encode()).hexdigest()[:8]}.gz"
        path.write_bytes(gzip.compress(content.encode(), mtime=0))
        return str(path)

    def snapshot(self) -> dict[str, t.Any]:
        """Everything that a run can change, but for what is random or a count."""
        found: dict[str, t.Any] = self.accounts.snapshot()
        for name, unit in self.systemd.items():
            if unit.enabled or unit.runs:
                found[f"unit {name}"] = (unit.enabled, unit.active, unit.loaded, unit.runs)
        for path in sorted(set(self.root.rglob("*")) - {self.accounts.path(each) for each in Accounts.LISTS}):
            content = None if path.is_dir() else path.read_bytes()
            if path.name == "applied.json":
                content = json.dumps(json.loads(content or b"") | {"transaction": ""}).encode()
            found[str(path.relative_to(self.root))] = (oct(path.stat().st_mode), content)
        return found

    def is_known_as(self, wanted: dict[str, t.Any]) -> bool:
        """Whether a look at the host tells the controller that its daemon is as these arguments want it."""
        parameters = _reading.valid(wanted, _wanted.ARGUMENTS)
        assert parameters is not None
        known = _intact.intact_daemons(Systemd(self.run_command), str(self.state))
        return known.get("demo") == _wanted.wanted(parameters, platform.machine()).identity

    def orders(self) -> list[str]:
        """What systemd was told, without the questions; then forget it."""
        orders = [each for each in self.commands if not each.startswith(("show", "reset-failed"))]
        self.commands.clear()
        return orders

    def run_command(self, args: list[str], **_: t.Any) -> tuple[int, str, str]:
        """Do what the command would do, and remember it."""
        argv = args[2:] if args[0] == "timeout" else args
        program, *rest = argv
        self.commands.append(" ".join(rest if program == "systemctl" else argv))
        if rest and rest[0] in self.broken:
            return 1, "", f"{rest[0]} is broken"
        if program == "systemctl":
            name = rest[0].replace("-", "_")
            rc, out = getattr(self, f"_{name}")(*[each for each in rest[1:] if not each.startswith("--")])
        elif program == "systemd-run":
            rc, out = self._check(argv)
        elif program == "cp":
            rc, out = 0, ""
            shutil.copytree(argv[-2], argv[-1])
        elif program == "useradd":
            rc, out = self.accounts.useradd(argv[-1], argv[argv.index("--gid") + 1] if "--gid" in argv else ""), ""
        elif program in ("userdel", "groupdel"):
            rc, out = getattr(self.accounts, program)(argv[-1]), ""
        else:
            assert program == "journalctl"
            rc, out = 0, "last words\n"
        return rc, out, "" if rc == 0 else "refused"

    def ask(self) -> str:
        """Why the daemon is not ready; empty when it is."""
        return "it is mute" if b"mute" in b"".join(self.unit().runs.values()) else ""

    def unit(self, name: str = "demo.service") -> Unit:
        return self.systemd.setdefault(name, Unit())

    def _show(self, name: str) -> tuple[int, str]:
        unit, path = self.unit(name), self.units / name
        disk = path.read_bytes() if path.exists() else None
        values = {
            "ActiveState": unit.active,
            "SubState": "running" if unit.active == "active" else "dead",
            # As it was when systemd read it.
            "UnitFileState": "" if disk is unit.loaded is None else "enabled" if unit.enabled else "disabled",
            "NRestarts": unit.restarts,
            "Result": "exit-code" if unit.active == "failed" else "success",
            "NeedDaemonReload": "no" if unit.loaded in (None, disk) else "yes",
        }
        return 0, "".join(f"{key}={value}\n" for key, value in values.items())

    def _daemon_reload(self) -> tuple[int, str]:
        for name, unit in self.systemd.items():
            path = self.units / name
            unit.loaded = path.read_bytes() if path.exists() else None
        return 0, ""

    def _enable(self, name: str) -> tuple[int, str]:
        self.unit(name).enabled = True
        return (0, "") if (self.units / name).exists() else (1, "no such unit")

    def _disable(self, name: str) -> tuple[int, str]:
        self.unit(name).enabled = False
        return 0, ""

    def _reset_failed(self, *_names: str) -> tuple[int, str]:
        return 0, ""

    def _stop(self, *names: str) -> tuple[int, str]:
        for name in names:
            self.unit(name).active, self.unit(name).runs = "inactive", {}
        return (0 if any((self.units / name).exists() for name in names) else 5), ""

    def _restart(self, name: str) -> tuple[int, str]:
        unit, path = self.unit(name), self.units / name
        if unit.loaded is None and path.exists():
            unit.loaded = path.read_bytes()
        if unit.loaded is None:
            return 5, "not found"
        unit.restarts = 0
        read = self._read()
        schema = self.data / "schema"
        if read.get("demo", b"").startswith(b"program 2"):
            schema.write_bytes(b"schema 2")
        elif self.data.is_dir() and not schema.exists():
            schema.write_bytes(b"schema 1")
        old = read.get("demo") == b"program 1" and schema.exists() and schema.read_bytes() != b"schema 1"
        everything = b"".join(read.values())
        unit.runs = {} if old or b"dies" in everything else read
        unit.active = "active" if unit.runs else "failed"
        if b"loops" in everything:
            unit.active, unit.restarts = "activating", 1
        return 0, ""

    def _reload(self, name: str) -> tuple[int, str]:
        read = self._read()
        if b"stubborn" in b"".join(read.values()):
            return 1, ""
        self.unit(name).runs = read
        return 0, ""

    def _read(self) -> dict[str, bytes]:
        """What the daemon would read now, by file name."""
        paths = [self.bin / "demo", *(self.etc / "demo").glob("[a-z]*")]
        return {path.name: path.read_bytes() for path in paths if path.exists()}

    def _check(self, argv: list[str]) -> tuple[int, str]:
        """The checker: sees the mounted copies only, and writes into the data that it sees."""
        mounts = [each.split("=", 2)[2] for each in argv if each.startswith("--property=Bind")]
        view = {real: copy for copy, real in (each.split(":") for each in mounts)}
        etc, data = view[str(self.etc / "demo")], view[str(self.data)]
        (Path(data) / "schema").write_text("touched by the checker")
        self.judged = {path.name: path.read_bytes() for path in Path(etc).iterdir()}
        self.judged_modes = {path.name: path.stat().st_mode & 0o7777 for path in Path(etc).iterdir()}
        judge = Path(argv[argv.index("--") + 1])
        if not judge.stat().st_mode & 0o111:
            return 203, ""  # as systemd says that it cannot execute it
        self.judge = judge.read_bytes()
        return (1 if b"wrong" in b"".join(self.judged.values()) else 0), ""
