# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The controller's half of a change on trial: come back over a new connection, and say whether to keep it.

Only a new connection proves anything: a packet filter lets those that exist live on.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import time
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure

from ansible_collections.wonder.mesh.plugins.module_utils._trial import WINDOW

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ansible.plugins.action import ActionBase

# Where all addresses of nodes are, whatever part of it a Headscale gives out.
MESH = (ipaddress.ip_network("100.64.0.0/10"), ipaddress.ip_network("fd7a:115c:a1e0::/48"))
# Seconds after which a host has taken the change back, or never had it: the window, and its daemon starting twice.
LIMIT = WINDOW + 60
PAUSE = 1.0  # seconds between two attempts to come back
SETTLE = 5.0  # seconds until what Headscale tells all nodes has reached them


def new_trial() -> str:
    """A name for a change that a host may make on trial."""
    return os.urandom(8).hex()


def is_in_mesh(variables: t.Mapping[str, t.Any], resolve: Callable[[str], str] = socket.gethostbyname) -> bool:
    """Whether Ansible reaches the host with these variables by an address or a name of the mesh."""
    where = str(variables.get("ansible_host") or variables["inventory_hostname"])
    domain = str(variables.get("mesh_domain") or "")
    if domain and where.rstrip(".").endswith(f".{domain}"):
        return True
    try:
        address = ipaddress.ip_address(where)
    except ValueError:
        try:
            address = ipaddress.ip_address(resolve(where))
        except (OSError, ValueError):
            return False
    mesh = variables.get("ansible_facts", {}).get("mesh") or {}
    own = [ipaddress.ip_network(pool) for pool in mesh.get("wireguard", {}).get("pools", ())]
    return any(address in network for network in (*MESH, *own))


def see_through(
    action: ActionBase,
    trial: str,
    call: Callable[[], dict[str, t.Any]],
    variables: dict[str, t.Any],
    settle: float = 0,
    verdict: Callable[[], str] = lambda: "keep",
) -> dict[str, t.Any]:
    """The result of a change that ``call`` makes, and that may cut off the connection which asks for it.

    ``verdict`` says ``keep`` or ``revert``, ``settle`` seconds after the change was made. When the host makes no trial
    of it, this costs nothing. A host that knows nothing of the change was lost before it was asked, or was restarted
    since: it is asked again, once.
    """
    for _ in range(2):
        outcome = _outcome(action, trial, call, variables, settle, verdict)
        if outcome:
            return outcome
    raise AnsibleActionFail("the host was lost twice, and knows nothing of the change; look at it, and run again")


def _outcome(
    action: ActionBase,
    trial: str,
    call: Callable[[], dict[str, t.Any]],
    variables: dict[str, t.Any],
    settle: float,
    verdict: Callable[[], str],
) -> dict[str, t.Any]:
    """The result of the change; empty when the host knows nothing of it."""
    lost: AnsibleConnectionFailure | None = None
    try:
        answer = call()
    except AnsibleConnectionFailure as exc:
        if not is_in_mesh(variables):
            raise
        lost = exc
    else:
        if not answer.get("on_trial"):
            return answer
    deadline = time.monotonic() + LIMIT
    time.sleep(settle)
    while time.monotonic() < deadline:
        try:
            outcome = _judge(action, trial, verdict(), variables)
        except AnsibleConnectionFailure as exc:
            lost = exc
        else:
            if not outcome.get("on_trial"):
                return outcome
        time.sleep(PAUSE)
    raise lost or AnsibleActionFail(f"the host has not made up its mind within {LIMIT} s; run again")


def _judge(action: ActionBase, trial: str, verdict: str, variables: dict[str, t.Any]) -> dict[str, t.Any]:
    action._connection.reset()
    arguments: dict[str, t.Any] = {"trial": trial, "verdict": verdict}
    answer: dict[str, t.Any] = action._execute_module(
        module_name="wonder.mesh.mesh_confirm", module_args=arguments, task_vars=variables
    )
    if answer.get("failed"):
        raise AnsibleActionFail(f"the change cannot be confirmed: {answer.get('msg')}")
    outcome: dict[str, t.Any] = answer["outcome"]
    return outcome
