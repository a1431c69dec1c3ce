# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""A daemon as it is wanted, and the one place that decides what differs on the host."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._accounts import user_exists
from ansible_collections.wonder.mesh.plugins.module_utils._difference import Difference
from ansible_collections.wonder.mesh.plugins.module_utils._files import Directory, File, Found, look, text_of

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.module_utils._systemd import UnitState

STATE_ROOT = "/var/lib/wonder-mesh"
EMPTY = hashlib.sha256().hexdigest()


def _digest(data: t.Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


class DaemonError(Exception):
    """A daemon cannot be brought to its wanted state; the message says what was found and what to do."""


@dataclasses.dataclass(frozen=True)
class Daemon:
    """The whole wanted state of one systemd service. ``units[0]`` is the one that is enabled and started."""

    name: str
    state: str
    user: str
    home: str
    units: tuple[str, ...]
    directories: tuple[Directory, ...]
    files: tuple[File, ...]
    check: tuple[str, ...] = ()
    ready: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    state_root: str = STATE_ROOT

    @property
    def unit(self) -> str:
        return self.units[0]

    @property
    def state_directory(self) -> str:
        """Where we remember what runs, and keep the previous state while a transaction is open."""
        return os.path.join(self.state_root, self.name)

    def fingerprint(self, effect: str) -> str:
        """Names the content of all files whose change has that effect on the daemon."""
        content = sorted((file.path, file.sha256) for file in self.files if file.effect == effect)
        return _digest(content)

    def description(self) -> dict[str, t.Any]:
        """All of it as plain data: of files, their hashes instead of their contents."""
        described = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        described["directories"] = [dataclasses.asdict(each) for each in self.directories]
        described["files"] = [dataclasses.asdict(each) for each in self.files]
        for each in described["files"]:
            del each["content"]
        del described["state_root"]
        plain: dict[str, t.Any] = json.loads(json.dumps(described))
        return plain

    @classmethod
    def described(cls, description: t.Mapping[str, t.Any], state_root: str = STATE_ROOT) -> Daemon:
        """The daemon of a description; TypeError or KeyError when it is of another version of this program."""
        lists = {name: tuple(description[name]) for name in ("units", "check")}
        return cls(
            **{
                **description,
                **lists,
                "directories": tuple(Directory(**each) for each in description["directories"]),
                "files": tuple(File(**each) for each in description["files"]),
                "state_root": state_root,
            }
        )

    @property
    def identity(self) -> str:
        """Names everything that is wanted: two daemons with the same identity are wanted alike."""
        return _digest(self.description())


@dataclasses.dataclass
class Applied:
    """What the last finished transaction left: the fingerprints of what runs, and what there is to remove."""

    transaction: str = ""
    restart: str = ""
    reload: str = ""
    files: list[str] = dataclasses.field(default_factory=list)
    directories: list[str] = dataclasses.field(default_factory=list)
    user: str = ""  # the user, if we created it
    wanted: dict[str, t.Any] = dataclasses.field(default_factory=dict)  # the daemon's description

    @classmethod
    def load(cls, state_directory: str) -> Applied:
        try:
            with open(applied_path(state_directory), encoding="utf-8") as stream:
                return cls(**json.load(stream))
        except FileNotFoundError:
            return cls()
        except (TypeError, ValueError):
            # Not ours or damaged: as good as none, the daemon is brought up anew.
            return cls()


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that differs, and what it asks of the daemon."""

    differences: list[Difference]
    unwanted: list[str]
    create_user: bool
    restart: bool
    reload: bool
    unit: UnitState

    @property
    def empty(self) -> bool:
        """Whether the host is as wanted."""
        return not (self.differences or self.restart or self.reload)

    @property
    def files(self) -> list[File]:
        return [each.file for each in self.differences if each.file is not None]

    @property
    def new_contents(self) -> list[File]:
        """Those of the files that differ in more than owner and mode."""
        return [
            each.file
            for each in self.differences
            if each.file is not None and (each.found is None or each.found.sha256 != each.file.sha256)
        ]

    @property
    def programs(self) -> list[File]:
        """Those of the files that are programs."""
        return [file for file in self.files if file.label]

    @property
    def directories(self) -> list[Directory]:
        return [each.directory for each in self.differences if each.directory is not None]

    def missing(self, uploads: t.Mapping[str, str]) -> list[str]:
        """The hashes of contents that must be uploaded before the plan can be carried out."""
        return sorted(file.sha256 for file in self.new_contents if file.content is None and file.sha256 not in uploads)


def applied_path(state_directory: str) -> str:
    return os.path.join(state_directory, "applied.json")


def plan(daemon: Daemon, applied: Applied, unit: UnitState, unproven: bool = False) -> Plan:
    """Compare the wanted daemon with the host. Reads only.

    ``unproven`` says that a run was killed before it knew that the daemon works with what lies there.
    """
    differences: list[Difference] = []
    create_user = bool(daemon.user) and not user_exists(daemon.user)
    if create_user:
        differences.append(Difference(f"user {daemon.user}", "", f"system user, home {daemon.home}\n"))
    for directory in daemon.directories:
        differences += _directory_difference(directory)
    effects = set()
    for file in daemon.files:
        found = look(file.path)
        if found.kind in ("directory", "other"):
            raise DaemonError(f"{file.path} is a {found.kind} and should be a file; move it away and run again")
        if found.sha256 != file.sha256:
            effects.add(file.effect)
        if os.path.basename(file.path) == daemon.unit and found.sha256 in ("", EMPTY):
            # Nor is it enabled once systemd reads it again, which may be before the run comes to it.
            unit = dataclasses.replace(unit, enabled=False)
        differences += _file_differences(file, found)
    unwanted = sorted(set(applied.files) - {file.path for file in daemon.files})
    unwanted = [path for path in unwanted if os.path.lexists(path)]
    differences += [Difference(path, "(no longer wanted)\n", "") for path in unwanted]

    running = daemon.state == "started"
    restart = running and ("restart" in effects or unit.stale or applied.restart != daemon.fingerprint("restart"))
    reload = running and not restart and ("reload" in effects or applied.reload != daemon.fingerprint("reload"))
    restart = restart or (running and unproven and not reload)
    differences += _unit_difference(daemon, unit, restart or reload)
    return Plan(differences, unwanted, create_user, restart, reload, unit)


def _directory_difference(directory: Directory) -> list[Difference]:
    found = look(directory.path)
    if found.kind not in ("absent", "directory"):
        raise DaemonError(f"{directory.path} is a {found.kind} and should be a directory; move it away and run again")
    if found.summary == directory.summary:
        return []
    return [Difference(directory.path, found.summary, directory.summary, directory=directory, found=found)]


def _file_differences(file: File, found: Found) -> list[Difference]:
    differences = []
    if found.sha256 != file.sha256:
        differences.append(
            Difference(file.path, _shown_before(file, found), _shown_after(file), file=file, found=found)
        )
    if found.summary != file.summary and found.kind != "absent":
        # The content's difference, if there is one, already carries the file.
        carrier = None if differences else file
        header = f"{file.path} (attributes)"
        differences.append(Difference(header, found.summary, file.summary, file=carrier, found=found))
    return differences


def _shown_before(file: File, found: Found) -> str:
    if found.kind == "absent":
        return ""
    if file.secret:
        return "(another secret)\n"
    if file.label:
        return f"sha256 {found.sha256}\n"
    return text_of(file.path)


def _shown_after(file: File) -> str:
    if file.secret:
        return "(the wanted secret)\n"
    if file.label:
        return f"sha256 {file.sha256}, {file.label}\n"
    return (file.content or b"").decode("utf-8", "replace")


def _unit_difference(daemon: Daemon, unit: UnitState, outdated: bool) -> list[Difference]:
    wanted = daemon.state == "started"
    alive = unit.running and unit.sub != "auto-restart"
    before = _unit_text(unit.enabled, alive, outdated and alive)
    after = _unit_text(wanted, wanted, False)
    return [] if before == after else [Difference(daemon.unit, before, after)]


def _unit_text(enabled: bool, running: bool, outdated: bool) -> str:
    runs = "no" if not running else "with its previous configuration" if outdated else "yes"
    return f"enabled: {'yes' if enabled else 'no'}\nrunning: {runs}\n"
