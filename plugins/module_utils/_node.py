# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""A host as a node of the mesh: what it is, what differs, and how to get there."""

from __future__ import annotations

import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._preferences import (
    ONLY_SET,
    current_preferences,
    flag,
    wanted_preferences,
)
from ansible_collections.wonder.mesh.plugins.module_utils._tailscale import TailscaleError
from ansible_collections.wonder.mesh.plugins.module_utils._tailscale_rest import forget_home

if t.TYPE_CHECKING:
    from ansible_collections.wonder.mesh.plugins.module_utils._tailscale import Tailscale

# Of tailscale_node, on the host and on the controller.
ARGUMENTS: dict[str, t.Any] = {
    "login_server": {"type": "str", "required": True},
    "coordinator": {"type": "str", "required": True},
    "tags": {"type": "list", "elements": "str", "required": True},
    "hostname": {"type": "str", "required": True},
    "accept_dns": {"type": "bool", "default": True},
    "accept_routes": {"type": "bool", "default": False},
    "advertise_routes": {"type": "list", "elements": "str", "default": []},
    "relay_port": {"type": "int", "default": 0},
    "ssh": {"type": "bool", "default": False},
    "regions": {"type": "list", "elements": "int", "default": []},
    "binary": {"type": "path", "default": "/usr/local/bin/tailscale"},
    "socket": {"type": "path", "default": "/run/tailscale/tailscaled.sock"},
    "state_directory": {"type": "path", "default": "/var/lib/tailscale"},
    "unit": {"type": "str", "default": "tailscaled.service"},
    "key_file": {"type": "path", "default": "", "no_log": False},
    "trial": {"type": "str", "default": ""},
}


class Node:
    """The host as a node: what it is, what differs, and how to get there."""

    def __init__(
        self,
        tailscale: Tailscale | None,
        params: t.Mapping[str, t.Any],
        status: dict[str, t.Any],
        preferences: t.Mapping[str, t.Any],
        home: t.Mapping[str, t.Any],
    ) -> None:
        """``tailscale`` is only needed to converge it; ``home`` is as :func:`_tailscale_rest.home` tells it."""
        self._tailscale = tailscale
        self._params = params
        self._status = status
        self._server = preferences.get("ControlURL") or ""
        self._was_joined = bool(self._status.get("HaveNodeKey") or preferences.get("LoggedOut"))
        self._before = current_preferences(preferences)
        self._after = wanted_preferences(params)
        self._home = home

    @property
    def joined(self) -> bool:
        """Whether it is a node. One that cannot reach its coordinator still is: it has its key."""
        return bool(self._status.get("HaveNodeKey")) and self._status["BackendState"] != "NeedsLogin"

    @property
    def stopped(self) -> bool:
        return self.joined and self._status["BackendState"] == "Stopped"

    @property
    def changed(self) -> bool:
        return not self.joined or self.stopped or self._before != self._after or self._is_lost

    @property
    def _is_lost(self) -> bool:
        """Whether it remembers another home than it has, so that nobody finds it once it boots without its coordinator.

        tailscaled (1.102.5) forgets in memory, but not on disk, a home that left the map, and from then on writes down
        no other. So will one whose home is about to leave.
        """
        if not self.joined or not self._home:
            return False
        number, codes, wanted = self._home["region"], self._home["regions"], self._params["regions"]
        if wanted and number not in ("0", *map(str, wanted)):
            return True
        now = (self._status.get("Self") or {}).get("Relay")
        return codes.get(number) != now if now else number not in ("0", *codes)

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is a node of another mesh."""
        return self.joined and self._server.rstrip("/") != self._params["login_server"].rstrip("/")

    def refuse_other_mesh(self) -> None:
        if self.is_elsewhere:
            raise TailscaleError(
                f"the host is a node of {self._server}, and should be one of {self._params['login_server']}. "
                "To move it, run `tailscale logout` on it and then this playbook again."
            )

    def converge(self) -> None:
        """Join, start or set what differs."""
        tailscale = t.cast("Tailscale", self._tailscale)
        different = self._different()
        if not self.joined:
            if self._was_joined:
                # 1.102 sends to peers of its former login through endpoints that it has forgotten, and reports no path.
                tailscale.restart(self._params["unit"])
            flags = [flag(name, value) for name, value in self._after.items() if name not in ONLY_SET]
            server, key_file = self._params["login_server"], self._params["key_file"]
            tailscale.up(["--reset", f"--login-server={server}", f"--auth-key=file:{key_file}", *flags])
            different = list(ONLY_SET)
        elif self.stopped:
            tailscale.resume()
        elif self._is_lost:
            with tailscale.stopped(self._params["unit"]):  # it would write down what it remembers
                forget_home(self._params["state_directory"])
        if different:
            tailscale.set([flag(name, self._after[name]) for name in different])
        self._status = tailscale.status()

    def put_back(self) -> None:
        """Give a node its previous preferences again."""
        flags = [flag(name, self._before[name]) for name in self._different()]
        t.cast("Tailscale", self._tailscale).set(flags)

    def _different(self) -> list[str]:
        return [name for name, value in self._after.items() if self._before[name] != value]

    def result(self) -> dict[str, t.Any]:
        return {
            "joined": self.joined,
            "addresses": self._status.get("TailscaleIPs") or [],
            # One that has yet to log in tells one of zeros, or that of its last login.
            "key": (self._status.get("Self") or {}).get("PublicKey") or "" if self.joined else "",
        }

    def diff(self) -> dict[str, str]:
        server, kept = self._params["login_server"], "remembers its home: yes\n" if self._is_lost else ""
        return {
            "before_header": "the node",
            "after_header": "the node",
            # What an unjoined daemon prefers says nothing about the host.
            "before": self._before_text(),
            "after": _text(server, self._after, True) + kept,
        }

    def _before_text(self) -> str:
        if not self.joined:
            return "node of: no mesh\n"
        lost = "remembers its home: no\n" if self._is_lost else ""
        return _text(self._server, self._before, not self.stopped) + lost


def _text(server: str, preferences: dict[str, t.Any], running: bool) -> str:
    lines = [f"node of: {server}", f"running: {'yes' if running else 'no'}"]
    lines += [flag(name, value).lstrip("-").replace("=", ": ", 1) for name, value in preferences.items()]
    return "\n".join(lines) + "\n"
