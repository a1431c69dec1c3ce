# SPDX-License-Identifier: MIT

# This plugin util is private to the collection: it may change in any release.

"""The proof: what the inventory promises against what the hosts measured.

A refusal counts only if the port answers on the host itself and the same source reached that host's probe port in the
same call. What could not be measured is never called kept: it is null, with the reason.
"""

from __future__ import annotations

import typing as t

from ansible_collections.wonder.mesh.plugins.plugin_utils._measured import (
    NOT_MEASURED,
    OUTSIDE,
    Measured,
    read_measurement,
)
from ansible_collections.wonder.mesh.plugins.plugin_utils._outside import judge_outside
from ansible_collections.wonder.mesh.plugins.plugin_utils._paths import kinds_behind, predicted_paths
from ansible_collections.wonder.mesh.plugins.plugin_utils._permissions import permission
from ansible_collections.wonder.mesh.plugins.plugin_utils._plan import listened, strangers
from ansible_collections.wonder.mesh.plugins.plugin_utils._report import Report, join
from ansible_collections.wonder.mesh.plugins.plugin_utils._types import SSH_PORT

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.wonder.mesh.plugins.plugin_utils._types import Model

RUNNING = "Running"


def judge(
    model: Model, measured: Mapping[str, object], controller: object = None, strict: bool = False
) -> dict[str, t.Any]:
    """The result as in docs/result.schema.json.

    measured: per host of the play what mesh_probe returned there, None if nothing came; a host that is not in it is
    outside --limit. controller: the controller's measurement, for an inventory without strangers. strict: whether a
    path other than predicted breaks a promise; else it is a warning.
    """
    hosts: dict[str, Measured] = {}
    for name in [*sorted(model["nodes"]), *strangers(model)]:
        if name in measured:
            hosts[name] = read_measurement(name, measured[name])
        elif name not in model["hosts"]:
            hosts[name] = read_measurement(name, controller)
        else:
            hosts[name] = Measured(name, OUTSIDE)
    report = Report()
    for host in hosts.values():
        _judge_host(model, host, report)
    nodes = {name: hosts[name] for name in sorted(model["nodes"])}
    _judge_paths(model, nodes, strict, report)
    _judge_connections(model, nodes, report)
    for name in strangers(model):
        judge_outside(model, hosts[name], nodes, report)
    return report.result(
        [
            {
                "name": name,
                "address": next(iter(node.addresses), None),
                "tags": list(model["hosts"][name]["tags"]),
            }
            for name, node in nodes.items()
        ]
    )


def _judge_host(model: Model, host: Measured, report: Report) -> None:
    if host.missing:
        report.not_measured(f"{host.host}: {host.missing}")
    if host.failed:
        report.problem(f"{host.host} was not measured: {host.missing}")
    elif not host.missing and host.host in model["nodes"] and host.state != RUNNING:
        what = model["hosts"][host.host]["interface"] or "tailscaled"
        report.problem(f"{host.host} is not in the mesh: its {what} is {host.state}")


def _off(node: Measured) -> bool:
    """Measured, but not in the mesh: already a problem of its own, which explains all that fails with it."""
    return not node.missing and node.state != RUNNING


def _judge_paths(model: Model, nodes: Mapping[str, Measured], strict: bool, report: Report) -> None:
    nats = {name: kinds_behind(node.mappings) for name, node in nodes.items()}
    for pair in predicted_paths(model, nats):
        source, target, predicted = nodes[pair["from"]], nodes[pair["to"]], pair["predicted"]
        entry: dict[str, t.Any] = {**pair, "observed": NOT_MEASURED, "latency_ms": None, "ok": None}
        report.add("paths", entry)
        if source.missing or target.failed:
            continue
        peer = source.peers.get(target.host)
        if peer is None or not peer.carried:
            reason = peer.error if peer and peer.error else "the probe's bytes did not arrive"
            if target.missing:
                # Whether it was ever set up is not for a limited run to say: it may be the next one's business.
                report.warning(f"{source.host} does not reach {target.host}, which is {target.missing}: {reason}")
                continue
            entry.update(observed="none", ok=False)
            if not _off(source) and not _off(target):
                report.problem(f"{source.host} does not reach {target.host}: {reason}")
            continue
        entry.update(observed=peer.path, latency_ms=peer.latency_ms, ok=True)
        kept = "relay" if peer.path == "peer-relay" else peer.path
        if predicted in ("unknown", kept):
            continue
        reason = _reason(model, pair, kept)
        text = f"{source.host} reaches {target.host} by {_by(peer.path)}, not {_by(predicted)}: {reason}"
        if strict:
            entry["ok"] = False
            report.problem(text)
        else:
            report.warning(text)


def _by(path: str) -> str:
    known = {"direct": "a direct path", "relay": "a relay", "peer-relay": "a peer relay", "hub": "a hub"}
    return known.get(path, "an unknown path")


def _reason(model: Model, pair: dict[str, str], observed: str) -> str:
    both = f"{pair['from']} or {pair['to']}"
    if model["wireguard"]:
        return f"the peers of {both} are not those that the inventory gives them"
    if observed == "direct":
        return (
            f"the NAT of {both} is kinder than its mesh_nat says, or they share a network that mesh_home does not name"
        )
    if observed == "relay":
        return f"a firewall drops UDP at {both}, or its NAT is harder than its mesh_nat says"
    return f"tailscaled on {pair['from']} did not say which"


def _judge_connections(model: Model, nodes: Mapping[str, Measured], report: Report) -> None:
    ports = listened(model)
    for source in nodes.values():
        for target in nodes.values():
            if source.host == target.host:
                continue
            for port in ports[target.host]:
                granted = permission(model, source.host, target.host, port)
                entry: dict[str, t.Any] = {
                    "what": what(model, target.host, port),
                    "from": source.host,
                    "to": target.host,
                    "port": port,
                    "ok": None,
                }
                report.add("grants" if granted else "refusals", entry)
                if source.missing or target.failed:
                    continue
                if granted:
                    _judge_grant(entry, source, target, granted == "mesh_grants", report)
                else:
                    _judge_refusal(entry, source, target, report)


def what(model: Model, node: str, port: int) -> str:
    """What a port of a node is for."""
    names = sorted(
        service["name"]
        for service in model["services"]
        if service["protocol"] != "udp"
        for replica in service["replicas"]
        if replica["node"] == node and 0 <= port - replica["port"] < service["count"]
    )
    if names:
        return f"service {join(names)}"
    return "SSH" if port == SSH_PORT else f"port {port}"


def _judge_grant(entry: dict[str, t.Any], source: Measured, target: Measured, extra: bool, report: Report) -> None:
    port, label = entry["port"], f"{entry['what']} on {target.host}"
    outcome, error = source.connections.get((target.host, port), ("error", "it was not tried"))
    if outcome == "open":
        entry["ok"] = True
        return
    if extra and target.answers.get(port) is False:
        # mesh_grants only opens the policy; whether anything listens is not what it promises.
        report.not_measured(f"{label} from {source.host}: nothing listens on port {port} there")
        return
    if target.missing and not source.carried(target.host):
        return  # the path's own warning says why
    entry["ok"] = False
    if not source.carried(target.host) or _off(source) or _off(target):
        return  # the path's own problem says why
    listens = target.answers.get(port)
    if listens is False:
        reason = f"nothing listens on port {port} of its mesh address"
    elif listens:
        reason = f"it listens on port {port}, but the connection is {outcome}: what is in force may be another policy"
    else:
        reason = f"port {port} is {outcome}{': ' + error if error else ''}"
    report.problem(f"{source.host} may reach {label} and cannot: {reason}")


def _judge_refusal(entry: dict[str, t.Any], source: Measured, target: Measured, report: Report) -> None:
    port, label = entry["port"], f"{entry['what']} on {target.host} from {source.host}"
    outcome, error = source.connections.get((target.host, port), ("error", "it was not tried"))
    if outcome == "open":
        entry["ok"] = False
        report.problem(f"{source.host} reaches {entry['what']} on {target.host} (port {port}), which nothing allows")
    elif _off(source) or _off(target) or not source.carried(target.host):
        report.not_measured(f"{label}: {source.host} reaches nothing on {target.host}, so a refusal says nothing")
    elif outcome not in ("refused", "silent"):
        report.not_measured(f"{label}: {error or 'no answer'}")
        report.problem(f"{source.host} could not try {entry['what']} on {target.host}: {error or 'no answer'}")
    elif target.missing:
        report.not_measured(f"{label}: {target.host} is {target.missing}, so it could not say whether the port answers")
    elif not target.answers.get(port):
        report.not_measured(f"{label}: nothing listens on port {port} of {target.host}, so a refusal says nothing")
    else:
        entry["ok"] = True
