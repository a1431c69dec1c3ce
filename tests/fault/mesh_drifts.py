# SPDX-License-Identifier: MIT
"""Drifts of what daemons know: preferences of nodes, the policy, nodes in Headscale; and all slots of a fleet."""

from __future__ import annotations

import dataclasses
import functools
import shlex
import typing as t

from tests.fault.daemon_drifts import SERVICES, Service, slots
from tests.fault.drifts import CADDY, HEADSCALE, NODE, POLICY, PROBE, REGISTRY, TAILSCALED, Drift, Slot

if t.TYPE_CHECKING:
    import random

API_KEY = "/var/lib/wonder-mesh/headscale/api_key.json"
PREFERENCES = {
    "Hostname": "set --hostname=host-{number}",
    "CorpDNS": "set --accept-dns=false",
    "RouteAll": "set --accept-routes",
    "AdvertiseRoutes": "set --advertise-routes=10.9.0.0/16,10.{number}.0.0/24",
    "AutoUpdate": "set --update-check",
    "WantRunning": "down",
}
# Of the policy as ``d``, without its tests, or Headscale would refuse; the last one makes it no JSON any more.
EDITS = {
    "a grant more": "d['grants'].append({'src': ['tag:node'], 'dst': ['tag:node'], 'ip': ['tcp:9']})",
    "a grant less": "d['grants'] = d['grants'][1:]",
    "an open one": "d['grants'].append({'src': ['*'], 'dst': ['*'], 'ip': ['*']})",
    "another tag": "d['tagOwners']['tag:more'] = []",
    "with a comment": "comment = '// by hand\\n'",
}
REGISTERED = {
    "rename": "rename other-{number}",
    "tags": "tag --tags tag:gateway",
    "routes": "approve-routes --routes 10.9.0.0/16",
}


def all_slots(inventory: dict[str, t.Any]) -> list[Slot]:
    """All that may drift in a fleet, of its inventory as data."""
    groups = {name: sorted(group["hosts"]) for name, group in inventory["all"]["children"].items()}
    (coordinator,) = groups["coordinator"]
    found = slots(coordinator, SERVICES[HEADSCALE])
    for host in sorted({coordinator, *groups["gateways"]}):
        found += slots(host, SERVICES[CADDY])
    for host in groups["nodes"]:
        found += slots(host, _tailscaled(inventory["all"]["hosts"][host])) + slots(host, SERVICES[PROBE])
        found += [Slot(host, each, functools.partial(_preference, host, each)) for each in PREFERENCES]
        found += [Slot(host, each, functools.partial(_registered, host, each, coordinator)) for each in REGISTERED]
    found += [Slot(coordinator, each, functools.partial(_policy, coordinator, each)) for each in EDITS]
    return [*found, Slot(coordinator, API_KEY, functools.partial(_api_key, coordinator))]


def _tailscaled(variables: dict[str, t.Any] | None) -> Service:
    """Without a TUN device it has a user of its own."""
    service = SERVICES[TAILSCALED]
    own_user = not (variables or {}).get("tailscaled_tun", True)
    return dataclasses.replace(service, user="tailscale") if own_user else service


def _preference(host: str, which: str, rng: random.Random) -> Drift:
    what = PREFERENCES[which].format(number=rng.randrange(10, 250))
    return Drift(f"tailscale {what}", host, NODE, f"timeout 20 tailscale {what}", frozenset({"the node"}))


def _policy(host: str, what: str, _rng: random.Random) -> Drift:
    python = f"import json, sys; d = json.load(sys.stdin); d.pop('tests', 0); comment = ''; {EDITS[what]}"
    python += "; open('/run/policy', 'w').write(comment + json.dumps(d))"
    script = f"headscale policy get | python3 -c {shlex.quote(python)}; headscale policy set --file /run/policy"
    turn = list(EDITS).index(what)
    return Drift(f"policy: {what}", host, POLICY, f"{script}; rm /run/policy", frozenset({"the policy"}), turn=turn)


def _registered(node: str, which: str, coordinator: str, rng: random.Random) -> Drift:
    """Of that node, in the coordinator's Headscale; its name last, by which it is found."""
    find = "import json, sys; print(next(n['id'] for n in json.load(sys.stdin) if n['given_name'] == sys.argv[1]))"
    number = f"$(headscale nodes list --output json | python3 -c {shlex.quote(find)} {node})"
    what = REGISTERED[which].format(number=rng.randrange(10, 250))
    name, script = f"headscale nodes {what} for {node}", f"headscale nodes {what} --identifier {number}"
    # The policy, when that has drifted too, is set without the tests of a node that has lost its tags.
    must, may = frozenset({f"node {node}"}), frozenset({"the policy's tests"})
    return Drift(name, coordinator, REGISTRY, script, must, may, turn=which == "rename")


def _api_key(host: str, rng: random.Random) -> Drift:
    what, script = rng.choice((("deleted", f"rm {API_KEY}"), ("torn", f"truncate --size=-7 {API_KEY}")))
    return Drift(f"{API_KEY}: {what}", host, HEADSCALE, script)
