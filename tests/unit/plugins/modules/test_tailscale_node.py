# SPDX-License-Identifier: MIT
"""``tailscale_node``, with a tailscaled that keeps its word."""

from __future__ import annotations

import base64
import errno
import json
import os
import typing as t

import pytest
from ansible.module_utils import basic

from ansible_collections.wonder.mesh.plugins.module_utils import _tailscale
from ansible_collections.wonder.mesh.plugins.modules import tailscale_node
from tests.unit.plugins.modules.judge import Judge

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., dict[str, t.Any]]

KEY = "hskey-auth-secret"
SERVER = "https://hub.wm.test"
PUBLIC = "nodekey:abc"
SELF, DERP_MAP = "73656c66", "646572706d6170"  # of the cached map, by what tailscaled calls them


class Tailscaled:
    """Its state, and the commands that it got without what is common to all."""

    def __init__(self) -> None:
        self.state, self.has_key, self.server = "NeedsLogin", False, ""
        self.preferences: dict[str, t.Any] = {"Hostname": "", "AutoUpdate": {"Check": True, "Apply": None}}
        self.commands: list[list[str]] = []
        self.states: list[str] = []  # what it answers first, while it settles
        self.relay = ""  # its home
        self.fails: dict[str, tuple[int, str]] = {}

    def join(self) -> Tailscaled:
        self.state, self.has_key, self.server = "Running", True, SERVER
        return self

    def run_command(self, args: list[str]) -> tuple[int, str, str]:
        assert args[0] == "timeout"
        verb, *rest = args[2:] if args[2] == "systemctl" else args[4:]
        self.commands.append([verb, *rest])
        if verb in self.fails:
            rc, said = self.fails[verb]
            return rc, "", said
        if verb == "status":
            status = {"BackendState": self.states.pop(0) if self.states else self.state, "HaveNodeKey": self.has_key}
            own = {"PublicKey": PUBLIC, "Relay": self.relay}
            joined = {"TailscaleIPs": ["100.64.0.1", "fd7a::1"], "Self": own} if self.has_key else {}
            return 0, json.dumps(status | joined), ""
        if verb == "debug":
            return 0, json.dumps(self.preferences | {"ControlURL": self.server}), ""
        flags = dict(each.lstrip("-").split("=", 1) for each in rest if "=" in each)
        if verb == "up":
            if rest and "--reset" not in rest:
                return 1, "", "Error: changing settings via 'tailscale up' requires mentioning all non-default flags."
            if "auth-key" in flags:
                path = flags["auth-key"].removeprefix("file:")
                with open(path, encoding="ascii") as stream:
                    assert stream.read() == KEY
                self.has_key, self.server = True, flags["login-server"]
            self.state = "Running"
        self._set(flags)
        return 0, "", ""

    def _set(self, flags: dict[str, str]) -> None:
        names = {"hostname": "Hostname", "accept-dns": "CorpDNS", "accept-routes": "RouteAll", "ssh": "RunSSH"}
        for name, value in flags.items():
            if name in names:
                self.preferences[names[name]] = {"true": True, "false": False}.get(value, value)
            elif name == "advertise-routes":
                self.preferences["AdvertiseRoutes"] = value.split(",") if value else None
            elif name == "relay-server-port":
                self.preferences["RelayServerPort"] = int(value) if value else None
            elif name in ("update-check", "auto-update"):
                self.preferences["AutoUpdate"]["Check" if name == "update-check" else "Apply"] = value == "true"

    def orders(self) -> list[list[str]]:
        return [each for each in self.commands if each[0] not in ("status", "debug")]


@pytest.fixture
def tailscaled(monkeypatch: pytest.MonkeyPatch) -> Tailscaled:
    tailscaled = Tailscaled()
    monkeypatch.setattr(basic.AnsibleModule, "run_command", lambda _self, args, **_: tailscaled.run_command(args))
    monkeypatch.setattr(_tailscale.time, "sleep", lambda _seconds: None)
    return tailscaled


@pytest.fixture
def call(run_module: Run, tmp_path: Path) -> Run:
    (tmp_path / "socket").touch()
    arguments = {
        "login_server": SERVER,
        "coordinator": "hub",
        "tags": ["tag:node"],
        "hostname": "mini-1",
        "socket": str(tmp_path / "socket"),
    }
    return lambda **changes: run_module(tailscale_node.main, **arguments | changes)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o600)
    return path


def converged(tailscaled: Tailscaled) -> None:
    tailscaled.join()
    tailscaled.preferences |= {"Hostname": "mini-1", "CorpDNS": True, "AutoUpdate": {"Check": False, "Apply": False}}


def test_a_node_that_is_as_wanted_is_only_asked(call: Run, tailscaled: Tailscaled) -> None:
    converged(tailscaled)
    result = call()
    assert (result["changed"], result["joined"], result["key"]) == (False, True, PUBLIC)
    assert result["addresses"] == ["100.64.0.1", "fd7a::1"]
    assert tailscaled.commands == [["status", "--json", "--peers=false"], ["debug", "prefs"]]


@pytest.mark.parametrize(
    ("wanted", "flag"),
    [
        ({"hostname": "nas"}, "--hostname=nas"),
        ({"accept_dns": False}, "--accept-dns=false"),
        ({"accept_routes": True}, "--accept-routes=true"),
        ({"relay_port": 40000}, "--relay-server-port=40000"),
        ({"ssh": True}, "--ssh=true"),
        ({"advertise_routes": ["192.168.1.0/24", "10.0.0.0/8"]}, "--advertise-routes=10.0.0.0/8,192.168.1.0/24"),
    ],
)
def test_one_preference_is_one_flag(call: Run, tailscaled: Tailscaled, wanted: dict[str, t.Any], flag: str) -> None:
    converged(tailscaled)
    foretold = call(check=True, **wanted)
    assert tailscaled.orders() == []
    result = call(**wanted)
    assert (result["changed"], result["diff"]) == (True, foretold["diff"])
    assert flag.lstrip("-").replace("=", ": ") in result["diff"]["after"]
    assert tailscaled.orders() == [["set", flag]]
    assert call(**wanted)["changed"] is False


def test_routes_that_are_no_longer_wanted_go(call: Run, tailscaled: Tailscaled) -> None:
    converged(tailscaled)
    tailscaled.preferences["AdvertiseRoutes"] = ["10.0.0.0/8"]
    call()
    assert tailscaled.orders() == [["set", "--advertise-routes="]]


def test_a_node_that_updates_itself_is_told_not_to(call: Run, tailscaled: Tailscaled) -> None:
    converged(tailscaled)
    tailscaled.preferences["AutoUpdate"] = {"Check": True, "Apply": True}
    call()
    assert tailscaled.orders() == [["set", "--update-check=false", "--auto-update=false"]]


def test_a_stopped_node_is_started_without_a_key(call: Run, tailscaled: Tailscaled) -> None:
    converged(tailscaled)
    tailscaled.state = "Stopped"
    result = call()
    assert (result["changed"], result["joined"]) == (True, True)
    assert "running: no" in result["diff"]["before"]
    assert tailscaled.orders() == [["up"]]
    assert call()["changed"] is False


def test_without_a_key_one_that_must_join_is_left_as_it_is(call: Run, tailscaled: Tailscaled) -> None:
    result = call()
    assert (result["failed"], result["changed"], result["joined"], result["addresses"]) == (False, True, False, [])
    assert tailscaled.orders() == []


def test_joins_with_a_key_that_is_in_no_argument_and_no_result(
    call: Run, tailscaled: Tailscaled, key_file: Path
) -> None:
    foretold = call(check=True)
    result = call(key_file=str(key_file))
    assert (result["joined"], result["diff"]) == (True, foretold["diff"])
    up, after = tailscaled.orders()
    assert up[:4] == ["up", "--timeout=60s", "--reset", f"--login-server={SERVER}"]
    assert up[4] == f"--auth-key=file:{key_file}"
    assert after == ["set", "--relay-server-port=", "--update-check=false", "--auto-update=false"]
    assert KEY not in repr(result) + repr(tailscaled.commands)
    assert not key_file.exists()
    assert call()["changed"] is False


@pytest.mark.parametrize("rc", [1, 124])
def test_the_key_goes_also_when_the_join_fails(call: Run, tailscaled: Tailscaled, key_file: Path, rc: int) -> None:
    tailscaled.fails["up"] = (rc, "invalid key: API key does not exist")
    result = call(key_file=str(key_file))
    assert result["failed"]
    assert "`tailscale up`" in result["msg"]
    assert not key_file.exists()
    assert KEY not in result["msg"]


def test_check_mode_joins_nobody_and_takes_the_key_away(call: Run, tailscaled: Tailscaled, key_file: Path) -> None:
    assert call(check=True, key_file=str(key_file))["joined"] is False
    assert (tailscaled.orders(), key_file.exists()) == ([], False)


def test_a_node_of_another_mesh_is_refused(call: Run, tailscaled: Tailscaled) -> None:
    converged(tailscaled)
    tailscaled.server = "https://controlplane.tailscale.com"
    result = call()
    assert "the host is a node of https://controlplane.tailscale.com, and should be one of" in result["msg"]
    assert "tailscale logout" in result["msg"]
    assert tailscaled.orders() == []


def test_a_slash_at_the_end_of_the_server_is_no_other_mesh(call: Run, tailscaled: Tailscaled) -> None:
    converged(tailscaled)
    assert call(login_server=SERVER + "/")["changed"] is False


def test_a_daemon_that_has_just_started_may_settle(call: Run, tailscaled: Tailscaled) -> None:
    converged(tailscaled)
    tailscaled.states = ["NoState", "Starting"]
    assert call()["changed"] is False
    assert [each[0] for each in tailscaled.commands] == ["status", "status", "status", "debug"]


def test_a_node_whose_coordinator_is_down_is_still_one(call: Run, tailscaled: Tailscaled) -> None:
    converged(tailscaled)
    tailscaled.state = "Starting"
    clock = iter(range(0, 1000, 10))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_tailscale.time, "monotonic", lambda: next(clock))
        result = call()
    assert (result["joined"], result["changed"]) == (True, False)


def test_check_mode_on_a_bare_host_foretells(call: Run, tailscaled: Tailscaled) -> None:
    result = call(check=True, socket="/nonexistent/tailscaled.sock")
    assert (result["changed"], result["joined"], tailscaled.commands) == (True, False, [])


def keep(
    directory: Path,
    *,
    key: str = "1" * 64,
    home: int = 901,
    regions: t.Sequence[int] = (901, 902),
    **preferences: t.Any,
) -> Path:
    """Write what a tailscaled leaves: its state, and the cached network map, whose directory this returns."""
    kept = {"Hostname": "mini-1", "CorpDNS": True, "WantRunning": True, "ControlURL": SERVER, "AutoUpdate": {}}
    kept |= {"Config": {"PrivateNodeKey": f"privkey:{key}"}} | preferences
    values = {"_current-profile": b"profile-1d5e", "profile-1d5e": json.dumps(kept).encode()}
    state = {name: base64.b64encode(value).decode() for name, value in values.items()}
    (directory / "tailscaled.state").write_text(json.dumps(state))
    cache = directory / "profile-data" / "1d5e" / "netmap-cache"
    cache.mkdir(parents=True, exist_ok=True)
    node = {"Key": PUBLIC, "Addresses": ["100.64.0.1/32", "fd7a::1/128"]} | ({"HomeDERP": home} if home else {})
    (cache / SELF).write_text(json.dumps({"Node": node}))
    known = {str(number): {"RegionID": number, "RegionCode": f"r{number}"} for number in regions}
    (cache / DERP_MAP).write_text(json.dumps({"DERPMap": {"Regions": known}}))
    return cache


def test_check_mode_knows_a_node_whose_daemon_is_down(call: Run, tailscaled: Tailscaled, tmp_path: Path) -> None:
    keep(tmp_path)
    tailscaled.fails["status"] = (1, "failed to connect to local tailscaled")
    result = call(check=True, state_directory=str(tmp_path))
    assert (result["changed"], result["joined"], result["key"]) == (False, True, PUBLIC)
    assert result["addresses"] == ["100.64.0.1", "fd7a::1"]
    assert "privkey" not in repr(result)


@pytest.mark.parametrize(
    ("kept", "before"),
    [
        (
            {"RouteAll": True},
            f"node of: {SERVER}\nrunning: yes\nhostname: mini-1\naccept-dns: true\naccept-routes: true",
        ),
        ({"WantRunning": False}, f"node of: {SERVER}\nrunning: no\n"),
        ({"LoggedOut": True}, "node of: no mesh\n"),
        ({"key": "0" * 64}, "node of: no mesh\n"),
    ],
)
def test_check_mode_foretells_what_a_daemon_that_is_down_will_be(
    call: Run, tailscaled: Tailscaled, tmp_path: Path, kept: dict[str, t.Any], before: str
) -> None:
    keep(tmp_path, **kept)
    result = call(check=True, socket="/nonexistent/tailscaled.sock", state_directory=str(tmp_path))
    assert result["changed"]
    assert result["diff"]["before"].startswith(before)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"_current-profile": "cA=="}'])
def test_a_state_that_is_not_understood_is_that_of_no_node(
    call: Run, tailscaled: Tailscaled, tmp_path: Path, content: str
) -> None:
    (tmp_path / "tailscaled.state").write_text(content)
    result = call(check=True, socket="/nonexistent/tailscaled.sock", state_directory=str(tmp_path))
    assert (result["joined"], result["diff"]["before"]) == (False, "node of: no mesh\n")


def test_check_mode_on_a_bare_host_shows_the_diff_of_the_join(
    call: Run, tailscaled: Tailscaled, key_file: Path
) -> None:
    foretold = call(check=True, socket="/nonexistent/tailscaled.sock")
    assert call(key_file=str(key_file))["diff"] == foretold["diff"]


@pytest.mark.parametrize("answer", [(1, "no daemon"), (0, ""), (124, "")])
def test_a_daemon_that_does_not_answer_is_named(call: Run, tailscaled: Tailscaled, answer: tuple[int, str]) -> None:
    tailscaled.fails["status"] = answer
    assert call()["failed"]


@pytest.mark.parametrize(("through_the_mesh", "trials"), [(True, ["t"]), (False, [""])])
def test_preferences_are_on_trial_when_the_session_comes_through_the_mesh(
    call: Run, tailscaled: Tailscaled, monkeypatch: pytest.MonkeyPatch, through_the_mesh: bool, trials: list[str]
) -> None:
    converged(tailscaled)
    judge = Judge(monkeypatch, tailscale_node)
    monkeypatch.setattr(
        tailscale_node, "comes_through", lambda units: through_the_mesh and units == ["tailscaled.service"]
    )
    assert call(trial="t", hostname="nas")["changed"]
    assert judge.trials == trials


def test_preferences_that_are_as_wanted_need_no_trial(
    call: Run, tailscaled: Tailscaled, monkeypatch: pytest.MonkeyPatch
) -> None:
    converged(tailscaled)
    judge = Judge(monkeypatch, tailscale_node)
    call(trial="t")
    call(trial="t", check=True, hostname="nas")
    assert judge.trials == []


def test_preferences_that_cut_the_controller_off_are_put_back(
    call: Run, tailscaled: Tailscaled, monkeypatch: pytest.MonkeyPatch
) -> None:
    converged(tailscaled)
    Judge(monkeypatch, tailscale_node, "It is cut off")
    before = json.dumps(tailscaled.preferences)
    result = call(trial="t", hostname="nas", accept_dns=False)
    assert result["failed"]
    assert result["msg"] == "It is cut off. The previous preferences were put back."
    assert json.dumps(tailscaled.preferences) == before
    assert tailscaled.orders()[1] == ["set", "--hostname=mini-1", "--accept-dns=true"]


def test_a_node_that_ssh_asks_again_says_that_its_change_is_on_trial(
    call: Run, tailscaled: Tailscaled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tailscale_node, "begun", lambda trial: trial == "t")
    assert call(trial="t")["on_trial"]
    assert tailscaled.commands == []


ANEW = [["systemctl", verb, "--", "tailscaled.service"] for verb in ("stop", "reset-failed", "start")]


@pytest.mark.parametrize(
    ("home", "now"),
    [
        (999, "r901"),  # where it was is gone
        (999, ""),  # the same, and it has not found another yet
        (902, "r901"),  # what it remembers is behind
        (0, "r901"),
    ],
)
def test_a_node_that_remembers_another_home_than_it_has_forgets_it(
    call: Run, tailscaled: Tailscaled, tmp_path: Path, home: int, now: str
) -> None:
    converged(tailscaled)
    tailscaled.relay, cache = now, keep(tmp_path, home=home)
    before = {path.name: (path.read_text(), path.stat().st_mode) for path in cache.iterdir()}
    arguments = {"state_directory": str(tmp_path), "regions": [901, 902]}
    foretold = call(check=True, **arguments)
    assert (foretold["changed"], tailscaled.orders()) == (True, [])
    assert {path.name: (path.read_text(), path.stat().st_mode) for path in cache.iterdir()} == before
    assert "remembers its home: no" in foretold["diff"]["before"]
    result = call(**arguments)
    assert (result["changed"], result["diff"]) == (True, foretold["diff"])
    assert tailscaled.orders() == ANEW
    kept = json.loads(before[SELF][0])
    kept["Node"]["HomeDERP"] = 0
    assert json.loads((cache / SELF).read_text()) == kept
    assert {path.name for path in cache.iterdir()} == before.keys()
    assert list(cache.parent.iterdir()) == [cache]
    keep(tmp_path, home=901)
    tailscaled.relay = "r901"
    assert call(**arguments)["changed"] is False


@pytest.mark.parametrize(("home", "now"), [(901, "r901"), (901, ""), (0, "")])
def test_a_node_that_remembers_its_home_is_left_alone(
    call: Run, tailscaled: Tailscaled, tmp_path: Path, home: int, now: str
) -> None:
    converged(tailscaled)
    tailscaled.relay = now
    keep(tmp_path, home=home)
    result = call(state_directory=str(tmp_path), regions=[901, 902])
    assert (result["changed"], tailscaled.orders()) == (False, [])
    assert "home" not in result["diff"]["before"]


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"DERPMap": {"Regions": {"901": {}}}}'])
def test_a_map_that_is_not_understood_says_nothing_about_a_home(
    call: Run, tailscaled: Tailscaled, tmp_path: Path, damage: str
) -> None:
    converged(tailscaled)
    (keep(tmp_path, home=999) / DERP_MAP).write_text(damage)
    assert call(state_directory=str(tmp_path), regions=[901])["changed"] is False


def test_a_node_may_take_a_while_to_hear_that_its_home_is_gone(
    call: Run, tailscaled: Tailscaled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converged(tailscaled)
    tailscaled.relay = "r999"
    keep(tmp_path, home=999, regions=[999])
    foretold = call(check=True, state_directory=str(tmp_path), regions=[901])
    waits = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            keep(tmp_path, home=999, regions=[901])
            tailscaled.relay = ""

    monkeypatch.setattr(tailscale_node.time, "sleep", sleep)
    result = call(state_directory=str(tmp_path), regions=[901])
    assert (len(waits), tailscaled.orders(), result["diff"]) == (3, ANEW, foretold["diff"])


@pytest.mark.parametrize(("regions", "seconds"), [([901], tailscale_node.HEAR), ([], 0)])
def test_a_node_that_does_not_hear_of_new_relays_in_time_is_left_at_its_home(
    call: Run, tailscaled: Tailscaled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, regions: list[int], seconds: int
) -> None:
    converged(tailscaled)
    tailscaled.relay, clock = "r999", [0.0]
    keep(tmp_path, home=999, regions=[999])
    monkeypatch.setattr(tailscale_node.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    monkeypatch.setattr(tailscale_node.time, "monotonic", lambda: clock[0])
    assert call(state_directory=str(tmp_path), regions=regions)["changed"] is False
    assert (clock[0] - seconds) in (0, 0.5)


def test_a_full_disk_is_named_and_leaves_the_daemon_running(
    call: Run, tailscaled: Tailscaled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converged(tailscaled)
    cache = keep(tmp_path, home=999)
    before = (cache / SELF).read_bytes()

    def fail(_descriptor: int) -> t.NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        assert "No space left on device" in call(state_directory=str(tmp_path))["msg"]
    assert (tailscaled.orders(), (cache / SELF).read_bytes()) == (ANEW, before)
    assert call(state_directory=str(tmp_path))["changed"]


@pytest.mark.parametrize(("verb", "runs"), [("stop", ["stop"]), ("start", ["stop", "reset-failed", "start"])])
def test_a_daemon_that_cannot_be_started_anew_is_named(
    call: Run, tailscaled: Tailscaled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, runs: list[str]
) -> None:
    converged(tailscaled)
    cache = keep(tmp_path, home=999)
    tailscaled.fails["systemctl"] = (1, "it hangs")
    as_before = tailscaled.run_command

    def run_command(args: list[str]) -> tuple[int, str, str]:
        answer = as_before(args)
        return answer if args[2] != "systemctl" or args[3] == verb else (0, "", "")

    monkeypatch.setattr(tailscaled, "run_command", run_command)
    assert f"`systemctl {verb} tailscaled.service` failed: it hangs" in call(state_directory=str(tmp_path))["msg"]
    assert [each[1] for each in tailscaled.orders()] == runs
    assert json.loads((cache / SELF).read_text())["Node"]["HomeDERP"] == (999 if verb == "stop" else 0)
