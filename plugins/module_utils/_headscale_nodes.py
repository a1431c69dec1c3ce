# SPDX-License-Identifier: MIT

# This module util is private to the collection: it may change in any release.

"""The nodes of one Headscale: compared with the wanted ones, and brought to them."""

from __future__ import annotations

import calendar
import re
import time
import typing as t

from ansible_collections.wonder.mesh.plugins.module_utils._headscale import (
    CONNECTION,
    DATABASE,
    NODES,
    HeadscaleError,
    current_policy,
)
from ansible_collections.wonder.mesh.plugins.module_utils._headscale_policy import (
    difference,
    put,
    settled_tags,
    with_tests,
)

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.wonder.mesh.plugins.module_utils._headscale import Headscale

    Call = Callable[..., t.Any]  # as Headscale.call

# Of headscale_node, on the host and on the controller.
ARGUMENTS: dict[str, t.Any] = {
    "nodes": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "tags": {"type": "list", "elements": "str"},
            "routes": {"type": "list", "elements": "str", "default": []},
            "key": {"type": "str", "default": "", "no_log": False},
            "joins": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["absent", "expired", "present"], "default": "present"},
        },
        "required_if": [("state", "present", ["tags"])],
    },
    "policy": {"type": "dict"},
    "database": DATABASE,
    **CONNECTION,
}

LOGGED_OUT = "logged out\n"
REMOVED = "tag:removed"  # nothing is granted to it, so nobody knows a node that has only this


class Nodes:
    """The nodes of one Headscale, and what was (or would be) changed about them."""

    def __init__(self, found: list[dict[str, t.Any]], keys: set[str], call: Call | None) -> None:
        self._found = found
        self._keys = keys  # of all wanted nodes
        self._call = call
        self._tags = {each["id"]: each.get("tags") or [] for each in found}
        self.diff: list[dict[str, str]] = []

    @property
    def tags(self) -> set[str]:
        """All that nodes have in the end."""
        return {tag for tags in self._tags.values() for tag in tags}

    def find(self, wanted: dict[str, t.Any]) -> dict[str, t.Any] | None:
        """The node that is meant; one that was reinstalled takes over its old name first."""
        named = next((each for each in self._found if each["givenName"] == wanted["name"]), None)
        keyed = next((each for each in self._found if wanted["key"] and each["nodeKey"] == wanted["key"]), None)
        if keyed is None or keyed is named:
            return named
        if named is not None:
            self._remove_old(named)
        elif keyed["givenName"] == keyed.get("name"):
            # It goes by the name that its own machine tells. That has just been set (or would have been), and Headscale
            # follows in its own time: a rename now would be a race, and would foretell what a run need not do.
            return keyed
        self._record(wanted["name"], f"name: {keyed['givenName']}\n", f"name: {wanted['name']}\n")
        self._write("POST", f"{NODES}/{keyed['id']}/rename/{wanted['name']}")
        return keyed

    def converge(self, node: dict[str, t.Any], wanted: dict[str, t.Any]) -> None:
        before, after = _text(node.get("tags"), node.get("approvedRoutes")), _text(wanted["tags"], wanted["routes"])
        if before == after:
            return
        self._record(wanted["name"], before, after)
        self._tags[node["id"]] = wanted["tags"]
        if sorted(node.get("tags") or []) != sorted(wanted["tags"]):
            self._write("POST", f"{NODES}/{node['id']}/tags", {"tags": sorted(wanted["tags"])})
        if sorted(node.get("approvedRoutes") or []) != sorted(wanted["routes"]):
            self._write("POST", f"{NODES}/{node['id']}/approve_routes", {"routes": sorted(wanted["routes"])})

    def take_out(self, wanted: dict[str, t.Any]) -> None:
        """Log the node of this name out, or delete it; nothing, where there is none."""
        node = next((each for each in self._found if each["givenName"] == wanted["name"]), None)
        if node is None:
            return
        if wanted["state"] == "absent":
            self._record(wanted["name"], _membership(node), "")
            self._tags.pop(node["id"])
            self._write("DELETE", f"{NODES}/{node['id']}")
        elif _membership(node) != LOGGED_OUT:
            self._record(wanted["name"], _membership(node), LOGGED_OUT)
            self._tags[node["id"]] = [REMOVED]
            if not _has_expired(node):
                self._write("POST", f"{NODES}/{node['id']}/expire", {})
            # Others still know a node whose login is over, and relays let in whom they know.
            self._write("POST", f"{NODES}/{node['id']}/tags", {"tags": [REMOVED]})

    def _remove_old(self, node: dict[str, t.Any]) -> None:
        if node["nodeKey"] in self._keys:
            raise HeadscaleError(
                f"the node {node['givenName']} is another one of the wanted nodes; names were exchanged. "
                "Rename one of them with `headscale nodes rename`, and run again."
            )
        if node.get("online"):
            raise HeadscaleError(
                f"two machines are the node {node['givenName']}: one is connected, and another one has just joined. "
                "If one is a copy of the other, delete /var/lib/tailscale on the copy; otherwise rename one of them."
            )
        self._record(node["givenName"], "an offline node with another key\n", "")
        self._tags.pop(node["id"])
        self._write("DELETE", f"{NODES}/{node['id']}")

    def _record(self, name: str, before: str, after: str) -> None:
        self.diff.append(
            {"before_header": f"node {name}", "after_header": f"node {name}", "before": before, "after": after}
        )

    def _write(self, method: str, path: str, body: dict[str, t.Any] | None = None) -> None:
        if self._call is not None:
            self._call(method, path, body)


def _text(tags: list[str] | None, routes: list[str] | None) -> str:
    return f"tags: {', '.join(sorted(tags or []))}\nroutes: {', '.join(sorted(routes or []))}\n"


def converge(
    headscale: Headscale, wanted: list[dict[str, t.Any]], check_mode: bool, policy: dict[str, t.Any] | None
) -> dict[str, t.Any]:
    """Compare and act; the module's result."""
    # A Headscale that is down will run again before nodes are made present, but not before they are taken out.
    expected = any(each["state"] == "present" for each in wanted)
    found = (headscale.read(NODES) if expected else headscale.call("GET", NODES))["nodes"]
    call = None if check_mode else headscale.call
    return settle(found, wanted, call, lambda: current_policy(headscale), policy, foretell=check_mode)


def settle(
    found: list[dict[str, t.Any]],
    wanted: list[dict[str, t.Any]],
    call: Call | None,
    current: Callable[[], t.Any],
    policy: dict[str, t.Any] | None,
    *,
    foretell: bool,
) -> dict[str, t.Any]:
    """Compare the nodes that Headscale has with the wanted ones, and change them by ``call``, if there is one.

    The tests of the current policy follow: those of ``policy`` for which there are nodes, or what is left of its own.
    foretell: whether what the run has done so far, it did in check mode.
    """
    nodes = Nodes(found, {each["key"] for each in wanted} - {""}, call)
    known, unknown = [], []
    for each in wanted:
        if each["state"] != "present":
            nodes.take_out(each)
            continue
        node = nodes.find(each)
        if node is None:
            unknown.append(each)
            continue
        nodes.converge(node, each)
        known.append(
            {
                "name": each["name"],
                "addresses": node.get("ipAddresses") or [],
                "tags": sorted(each["tags"]),
                "online": bool(node.get("online")),
            }
        )
    if policy is not None or nodes.diff:
        joined = [*known, *(each for each in unknown if foretell and each["joins"])]
        tags = nodes.tags if policy is None else {tag for each in joined for tag in each["tags"]}
        in_force = current()
        before, after = with_tests(policy, in_force, settled_tags(found, wanted), tags, foretell)
        if before != after:
            nodes.diff.append(difference(before, after))
            if call is not None:
                put(call, after, in_force, nodes.tags)
    return {
        "changed": bool(nodes.diff),
        "diff": nodes.diff,
        "nodes": known,
        "unknown": [each["name"] for each in unknown],
    }


def _membership(node: dict[str, t.Any]) -> str:
    return LOGGED_OUT if _has_expired(node) and node.get("tags") == [REMOVED] else "a node\n"


def _has_expired(node: dict[str, t.Any]) -> bool:
    """Whether the node's login is over. Headscale tells its end as RFC 3339 in UTC; null, or year 1, means never."""
    end = re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", node.get("expiry") or "")
    if end is None or end[0].startswith("0001-"):
        return False
    return calendar.timegm(time.strptime(end[0], "%Y-%m-%dT%H:%M:%S")) <= time.time()
